//! Watermarks, and claims of files.

use bytes::Bytes;
use cdrlog::manifest::Hash;

use super::Open;
use super::address::StreamAddress;
use super::api::{self, Stored, Which};
use super::connection::Fault;
use super::message::expectation;
use crate::ship::header::Chain;
use crate::ship::watermark::Watermark;

impl Open {
    pub(super) fn watermark(
        &mut self,
        address: &StreamAddress,
        chain: &Chain,
    ) -> Result<Option<Watermark>, Fault> {
        self.marks.remove(chain);
        let subject = address.marks_subject(chain);
        let which = Which::Last { subject: &subject };
        let Some(stored) = api::message(&self.connection, &address.marks_stream(), &which)? else {
            return Ok(None);
        };
        let mark = Watermark::parse(&text_of(&stored)?).map_err(Fault::Lost)?;
        self.marks.insert(chain.clone(), (mark.clone(), stored.seq));
        Ok(Some(mark))
    }

    /// False if another one is there.
    pub(super) fn put_watermark(
        &mut self,
        address: &StreamAddress,
        chain: &Chain,
        expected: Option<&Watermark>,
        mark: &Watermark,
    ) -> Result<bool, Fault> {
        if self.marks.get(chain).map(|(known, _)| known) != expected
            && self.watermark(address, chain)?.as_ref() != expected
        {
            return Ok(false);
        }
        let last = self.marks.remove(chain).map_or(0, |(_, seq)| seq);
        let (stream, subject) = (address.marks_stream(), address.marks_subject(chain));
        let headers = expectation(&stream, last);
        let stored =
            api::store(&self.connection, &stream, &subject, headers, Bytes::from(mark.text()));
        match stored {
            Ok(seq) => {
                self.marks.insert(chain.clone(), (mark.clone(), seq));
                Ok(true)
            }
            Err(fault) if fault.is_wrong_last() => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Whose the birth is: the first message of its subject says it.
    pub(super) fn claim(
        &self,
        address: &StreamAddress,
        birth: Hash,
        node: &str,
    ) -> Result<String, Fault> {
        let (stream, subject) = (&address.stream, address.birth_subject(birth));
        let headers = expectation(stream, 0);
        let payload = Bytes::from(node.to_owned());
        match api::store(&self.connection, stream, &subject, headers, payload) {
            Ok(_) => return Ok(node.to_owned()),
            Err(fault) if fault.is_wrong_last() => {}
            Err(fault) => return Err(fault),
        }
        let which = Which::From { seq: 1, subject: &subject };
        let first = api::message(&self.connection, stream, &which)?;
        let removed = || Fault::Lost(format!("the message of {subject} was removed just now"));
        text_of(&first.ok_or_else(removed)?)
    }
}

fn text_of(stored: &Stored) -> Result<String, Fault> {
    let text = String::from_utf8(stored.payload()?);
    text.map_err(|_| {
        Fault::Lost(format!("message {} of {} is no text", stored.seq, stored.subject))
    })
}
