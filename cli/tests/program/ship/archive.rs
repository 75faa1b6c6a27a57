//! Reads a directory of shipped blocks as docs/shipping.md describes it, without the program's code.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A block: its header and its lines.
pub struct Block {
    pub header: Value,
    pub id: String,
    pub body: Vec<u8>,
    pub path: PathBuf,
}

/// The blocks of the only node, in order. Their chain is checked.
pub fn blocks(archive: &Path, stream: &str) -> Vec<Block> {
    let stream = archive.join(stream);
    let Ok(nodes) = fs::read_dir(stream) else { return Vec::new() };
    let nodes: Vec<_> = nodes.map(|node| node.unwrap().path()).collect();
    let [node] = nodes.as_slice() else { panic!("{} nodes", nodes.len()) };
    blocks_of(node)
}

pub fn blocks_of(node: &Path) -> Vec<Block> {
    let mut paths: Vec<_> = fs::read_dir(node).unwrap().map(|it| it.unwrap().path()).collect();
    // What a kill left behind has a `#` in its name.
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "zst"));
    paths.sort();
    let blocks: Vec<_> = paths.into_iter().map(read).collect();
    let mut previous = "0".repeat(64);
    for (index, block) in blocks.iter().enumerate() {
        let name = format!("{:016}.jsonl.zst", index + 1);
        assert_eq!(block.path.file_name().unwrap().to_str().unwrap(), name, "a hole");
        assert_eq!(block.header["seq"], index + 1);
        assert_eq!(block.header["prev"], previous.as_str());
        let hash = blake3::hash(&block.body).to_hex();
        assert_eq!(block.header["body"], hash.as_str());
        let lines = block.body.iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(block.header["lines"], lines);
        previous.clone_from(&block.id);
    }
    blocks
}

fn read(path: PathBuf) -> Block {
    let object = fs::read(&path).unwrap();
    let number = |at: usize| u32::from_le_bytes(object[at..at + 4].try_into().unwrap());
    assert_eq!(number(0), 0x184D_2A5C);
    let header = &object[8..8 + number(4) as usize];
    Block {
        header: serde_json::from_slice(header).unwrap(),
        id: blake3::hash(header).to_hex().to_string(),
        // Also what every other decoder makes of it.
        body: zstd::decode_all(object.as_slice()).unwrap(),
        path,
    }
}

/// All lines of a stream.
pub fn lines(archive: &Path, stream: &str) -> Vec<u8> {
    blocks(archive, stream).into_iter().flat_map(|block| block.body).collect()
}
