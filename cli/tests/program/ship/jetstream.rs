//! Reads and makes streams as docs/shipping.md describes them, without the program's code.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// A connection to a server.
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// A message of a stream.
pub struct Stored {
    pub seq: u64,
    pub headers: String,
    pub data: Vec<u8>,
}

impl Stored {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.split("\r\n");
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Which piece of how many.
    fn part(&self) -> (usize, usize) {
        let part = self.header("Cdrlog-Part").unwrap_or("1/1").split_once('/').unwrap();
        (part.0.parse().unwrap(), part.1.parse().unwrap())
    }
}

impl Client {
    /// `login` has the members of CONNECT that log in.
    pub fn connect(port: u16, login: Value) -> Self {
        let stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
        let mut client = Self { stream };
        client.line();
        let mut options = json!({ "verbose": false, "headers": true, "no_responders": true });
        options.as_object_mut().unwrap().extend(login.as_object().unwrap().clone());
        client.send(format!("CONNECT {options}\r\nSUB _INBOX.t 1\r\n").as_bytes());
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(!line.starts_with("-ERR") && !line.is_empty(), "{line:?}");
        line
    }

    /// Sends a message, and returns what is answered.
    pub fn request(&mut self, subject: &str, headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let head: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("NATS/1.0\r\n{head}\r\n");
        let (length, total) = (head.len(), head.len() + payload.len());
        self.send(format!("HPUB {subject} _INBOX.t {length} {total}\r\n{head}").as_bytes());
        self.send(payload);
        self.send(b"\r\n");
        loop {
            let line = self.line();
            let words: Vec<_> = line.split_whitespace().collect();
            let skipped = match words.first() {
                Some(&"PING") => {
                    self.send(b"PONG\r\n");
                    continue;
                }
                Some(&"MSG") => 0,
                Some(&"HMSG") => words[words.len() - 2].parse().unwrap(),
                _ => continue,
            };
            let mut bytes = vec![0; words.last().unwrap().parse::<usize>().unwrap() + 2];
            self.stream.read_exact(&mut bytes).unwrap();
            bytes.truncate(bytes.len() - 2);
            return bytes.split_off(skipped);
        }
    }

    /// An answer of JetStream.
    pub fn api(&mut self, name: &str, request: &Value) -> Value {
        let answer = self.request(&format!("$JS.API.{name}"), &[], request.to_string().as_bytes());
        serde_json::from_slice(&answer).unwrap()
    }

    /// The messages of a subject, which may have wildcards.
    pub fn messages(&mut self, stream: &str, subject: &str) -> Vec<Stored> {
        let mut messages: Vec<Stored> = Vec::new();
        loop {
            let from = messages.last().map_or(1, |last| last.seq + 1);
            let request = json!({ "seq": from, "next_by_subj": subject });
            let answer = self.api(&format!("STREAM.MSG.GET.{stream}"), &request);
            if answer["error"]["err_code"] == 10037 {
                return messages;
            }
            let bytes = |name: &str| {
                let encoded = answer["message"][name].as_str().unwrap_or_default();
                BASE64_STANDARD.decode(encoded).unwrap()
            };
            messages.push(Stored {
                seq: answer["message"]["seq"].as_u64().unwrap(),
                headers: String::from_utf8(bytes("hdrs")).unwrap(),
                data: bytes("data"),
            });
        }
    }

    /// The blocks of the only node: header and lines. Their chain is checked.
    pub fn blocks(&mut self, stream: &str, subject: &str) -> Vec<(Value, Vec<u8>)> {
        let mut blocks: Vec<(Value, Vec<u8>)> = Vec::new();
        let (mut previous, mut object, mut pieces) = ("0".repeat(64), Vec::new(), 0);
        for message in self.messages(stream, subject) {
            let (index, count) = message.part();
            if index == 1 {
                object.clear();
            } else {
                assert_eq!(index, pieces + 1, "a piece is missing");
            }
            pieces = index;
            object.extend(&message.data);
            if index < count {
                continue;
            }
            let text = message.header("Cdrlog-Header").unwrap();
            let header: Value = serde_json::from_str(text).unwrap();
            assert_eq!(header["seq"], blocks.len() + 1);
            assert_eq!(header["prev"], previous.as_str());
            assert_eq!(&object[8..8 + text.len()], text.as_bytes(), "the header is in the object");
            let lines = zstd::decode_all(object.as_slice()).unwrap();
            assert_eq!(header["body"], blake3::hash(&lines).to_hex().as_str());
            previous = blake3::hash(text.as_bytes()).to_hex().to_string();
            blocks.push((header, lines));
        }
        blocks
    }

    /// All lines of a stream of the only node.
    pub fn lines(&mut self, stream: &str, subject: &str) -> Vec<u8> {
        self.blocks(stream, subject).into_iter().flat_map(|(_, lines)| lines).collect()
    }
}
