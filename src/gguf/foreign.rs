//! What a file is that is no GGUF, told by its first bytes or its name, and what to do about it:
//! downloads that brought something else, and other kinds of model files.

use std::fs;
use std::path::Path;

use super::error::{quoted, shortened};

/// What the file with these bytes is and what to do, if that can be told.
pub(super) fn described(path: &Path, bytes: &[u8]) -> Option<String> {
    unfinished(path, bytes)
        .or_else(|| text(bytes))
        .or_else(|| safetensors(bytes))
        .or_else(|| zip(bytes))
        .or_else(|| importance_matrix(bytes))
        .or_else(|| by_magic(bytes))
}

/// What a folder is that was given as a model.
pub(super) fn folder(path: &Path) -> String {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    let ends_with = |end: &str| names.iter().find(|name| name.ends_with(end));
    if let Some(name) = ends_with(".gguf") {
        return format!(
            "it is a folder; name a GGUF file in it, such as {}",
            quoted(name.as_bytes())
        );
    }
    let is_hugging_face = names.iter().any(|name| name == "config.json")
        || ends_with(".safetensors").is_some()
        || names.iter().any(|name| name.starts_with("pytorch_model"));
    match is_hugging_face {
        true => format!("it is a folder with a Hugging Face model, not a GGUF file; {CONVERT}"),
        false => "it is a folder; name a GGUF file".into(),
    }
}

/// How models of other kinds become GGUF files.
const CONVERT: &str = "convert it with llama.cpp's convert_hf_to_gguf.py, which takes the folder \
                       that the model was published as";

/// Endings of the names of files that are being downloaded, or that tell how far that is.
const DOWNLOADS: [&str; 7] =
    ["part", "partial", "crdownload", "download", "incomplete", "aria2", "opdownload"];

fn unfinished(path: &Path, bytes: &[u8]) -> Option<String> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if DOWNLOADS.contains(&ending.to_ascii_lowercase().as_str()) {
        return Some(format!(
            "its name ends in .{ending}, as that of an unfinished download does, and it does not \
             begin as a GGUF; finish the download"
        ));
    }
    let head = &bytes[..bytes.len().min(64)];
    (bytes.len() >= 8 && head.iter().all(|&byte| byte == 0)).then(|| {
        "it begins with zeros, as a file does whose download is not complete; download it again"
            .into()
    })
}

/// A header in JSON, after its length in 8 bytes.
fn safetensors(bytes: &[u8]) -> Option<String> {
    let (len, json) = bytes.split_first_chunk()?;
    let is = json.starts_with(b"{\"") && u64::from_le_bytes(*len) < 1 << 30;
    is.then(|| format!("it is a safetensors file, not a GGUF; {CONVERT}"))
}

/// PyTorch keeps a pickle with others in a zip archive, NumPy its arrays.
fn zip(bytes: &[u8]) -> Option<String> {
    if !bytes.starts_with(b"PK\x03\x04") && !bytes.starts_with(b"PK\x05\x06") {
        return None;
    }
    let len = bytes.get(26..28).map_or(0, |len| u16::from_le_bytes([len[0], len[1]]));
    let first = bytes.get(30..30 + usize::from(len)).unwrap_or_default();
    let of_torch = ["data.pkl", ".format_version", "byteorder", "version"];
    Some(if of_torch.iter().any(|name| first.ends_with(format!("/{name}").as_bytes())) {
        format!("it is a PyTorch checkpoint, not a GGUF; {CONVERT}")
    } else if first.ends_with(b".npy") {
        "it is an archive of NumPy arrays, not a GGUF; name a model in GGUF".into()
    } else {
        "it is a zip archive, not a GGUF; unpack it, and name the GGUF file in it".into()
    })
}

/// What can be told by the bytes at the start alone.
fn by_magic(bytes: &[u8]) -> Option<String> {
    let (what, to_do) = MAGICS.iter().find(|(magic, ..)| bytes.starts_with(magic)).map_or_else(
        || (bytes.get(257..262) == Some(b"ustar")).then_some(("a tar archive", UNPACK)),
        |&(_, what, to_do)| Some((what, to_do)),
    )?;
    Some(format!("it is {what}, not a GGUF; {to_do}"))
}

const UNPACK: &str = "unpack it, and name the GGUF file in it";
const NAME_A_GGUF: &str = "name a model in GGUF";
const CONVERT_AGAIN: &str = "convert the model again from its source";

/// First bytes, what file has them, and what to do.
const MAGICS: [(&[u8], &str, &str); 21] = [
    // Files of one kind were written with the bytes of the word in either order.
    (b"lmgg", "a model of the format before GGUF", CONVERT_AGAIN),
    (b"fmgg", "a model of the format before GGUF", CONVERT_AGAIN),
    (b"tjgg", "a model of the format before GGUF", CONVERT_AGAIN),
    (b"ggml", "a model of the format before GGUF", CONVERT_AGAIN),
    (b"ggmf", "a model of the format before GGUF", CONVERT_AGAIN),
    (b"ggjt", "a model of the format before GGUF", CONVERT_AGAIN),
    (
        b"algg",
        "a LoRA adapter of the format before GGUF",
        "merge it in its base model, and convert that",
    ),
    (b"\x1f\x8b", "compressed with gzip", UNPACK),
    (b"\xfd7zXZ\0", "compressed with xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", UNPACK),
    (b"BZh", "compressed with bzip2", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    // The protocols of pickle.
    (b"\x80\x02", "a pickle of Python, as an old PyTorch checkpoint is", CONVERT),
    (b"\x80\x03", "a pickle of Python, as an old PyTorch checkpoint is", CONVERT),
    (b"\x80\x04", "a pickle of Python, as an old PyTorch checkpoint is", CONVERT),
    (b"\x80\x05", "a pickle of Python, as an old PyTorch checkpoint is", CONVERT),
    (b"\x93NUMPY", "a NumPy array", NAME_A_GGUF),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes them", NAME_A_GGUF),
    (b"\x7fELF", "a program", NAME_A_GGUF),
    (b"MZ", "a program", "of a llamafile, unzip takes the GGUF out"),
];

/// llama-imatrix's old format: the number of entries, then each with the length of its name, its
/// name, and numbers.
fn importance_matrix(bytes: &[u8]) -> Option<String> {
    let (entries, rest) = bytes.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let [entries, len] = [entries, len].map(|n| u32::from_le_bytes(*n));
    let name = rest.get(..len as usize)?;
    let is = (1..1 << 20).contains(&entries) && name.ends_with(b".weight");
    is.then(|| {
        "it is an importance matrix of llama-imatrix, not a GGUF; name the model, which the importance \
         is found of here"
            .into()
    })
}

/// Bytes of a text that are looked at.
const HEAD: usize = 512;

/// A pointer in the place of a file, a page that a server sent instead of it, or another text.
fn text(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(HEAD)];
    // The cut may go through a character.
    let head = match std::str::from_utf8(head) {
        Ok(head) => head,
        Err(fault) if fault.error_len().is_none() => {
            std::str::from_utf8(&head[..fault.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return None,
    };
    let head = head.trim_start_matches('\u{feff}').trim_start();
    if head.is_empty() || head.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    if head.starts_with("version https://git-lfs.github.com/spec/")
        || head.starts_with("version https://hawser.github.com/spec/")
    {
        return Some(git_lfs(head));
    }
    let lower = head.to_ascii_lowercase();
    let begins = |tag: &&str| lower.starts_with(*tag);
    Some(if ["<!doctype html", "<html", "<head", "<body"].iter().any(begins) {
        "it is a web page (HTML), not a GGUF: the server sent a page instead of the file; download \
         the file itself"
            .into()
    } else if lower.starts_with('<') {
        format!("it is XML, not a GGUF: {}; download the file itself", beginning(head))
    } else if lower.starts_with('{') || lower.starts_with('[') {
        format!(
            "it is JSON, not a GGUF: {}; of a model as it was published, name the GGUF that llama.cpp's \
             convert_hf_to_gguf.py makes",
            beginning(head)
        )
    } else {
        format!("it is a text, not a GGUF: {}", beginning(head))
    })
}

fn git_lfs(head: &str) -> String {
    let size = head.lines().find_map(|line| line.strip_prefix("size ")?.trim().parse::<u64>().ok());
    let size = size.map_or(String::new(), |n| format!(" of {} bytes", super::error::grouped(n)));
    format!(
        "it is a git-LFS pointer to a file{size}, not that file; fetch it with `git lfs pull`, or \
         download it"
    )
}

fn beginning(head: &str) -> String {
    format!("it begins with `{}`", shortened(head.lines().next().unwrap_or("").as_bytes(), 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described_as(bytes: &[u8]) -> String {
        described(Path::new("model.gguf"), bytes).unwrap_or_default()
    }

    #[track_caller]
    fn told(bytes: &[u8], fragments: &[&str]) {
        let told = described_as(bytes);
        fragments.iter().for_each(|f| assert!(told.contains(f), "expected `{f}` in: {told}"));
    }

    #[test]
    fn pointers_and_pages_are_told() {
        let pointer = "version https://git-lfs.github.com/spec/v1\n\
                       oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n\
                       size 4294967296\n";
        told(pointer.as_bytes(), &["git-LFS pointer", "4,294,967,296 bytes", "git lfs pull"]);
        told(b"version https://hawser.github.com/spec/v1\n", &["git-LFS pointer to a file,"]);
        told(b"\n <!DOCTYPE html>\n<html>", &["web page (HTML)", "download the file itself"]);
        told("\u{feff}<HTML><body>ü".as_bytes(), &["web page (HTML)"]);
        told(b"<?xml version=\"1.0\"?><Error>", &["XML", "<?xml version"]);
        told(b"{\"architectures\": []}", &["JSON", "convert_hf_to_gguf.py"]);
        told(b"Entry not found", &["a text, not a GGUF: it begins with `Entry not found`"]);
        // The cut falls into a character.
        told(format!("x{}", "ü".repeat(HEAD)).as_bytes(), &["a text"]);
    }

    #[test]
    fn other_kinds_of_models_are_told() {
        let header = b"{\"__metadata__\":{\"format\":\"pt\"}}";
        let safetensors = [&(header.len() as u64).to_le_bytes(), &header[..]].concat();
        told(&safetensors, &["safetensors", "convert_hf_to_gguf.py"]);
        let zip = |name: &str| {
            let mut zip = b"PK\x03\x04".to_vec();
            zip.resize(26, 0);
            zip.extend((name.len() as u16).to_le_bytes());
            zip.extend([0, 0]);
            zip.extend(name.as_bytes());
            zip
        };
        told(&zip("archive/data.pkl"), &["PyTorch", "convert_hf_to_gguf.py"]);
        told(&zip("model/.format_version"), &["PyTorch"]);
        told(&zip("weight.npy"), &["NumPy"]);
        told(&zip("model.gguf"), &["zip archive", "unpack it"]);
        told(&zip("model.gguf")[..10], &["zip archive"]);
        told(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", &["PyTorch", "convert_hf_to_gguf.py"]);
        for magic in [b"lmgg", b"ggml", b"tjgg", b"ggjt", b"fmgg"] {
            told(&[&magic[..], &[3, 0, 0, 0]].concat(), &["before GGUF", "convert"]);
        }
        told(b"algg\x01\0\0\0", &["LoRA", "before GGUF"]);
        let name = b"blk.0.ffn_down.weight";
        let imatrix = [&2u32.to_le_bytes(), &(name.len() as u32).to_le_bytes(), &name[..]].concat();
        told(&imatrix, &["importance matrix", "name the model"]);
        told(b"\x1f\x8b\x08\0", &["gzip", "unpack"]);
        told(b"\xfd7zXZ\0\0", &["xz", "unpack"]);
        told(b"\x28\xb5\x2f\xfd\0", &["zstd", "unpack"]);
        let tar = [&[b'a'; 4][..], &[0; 253], b"ustar\x0000"].concat();
        told(&tar, &["tar archive", "unpack"]);
    }

    #[test]
    fn unfinished_downloads_are_told() {
        told(&[0; 100], &["zeros", "download"]);
        let told = described(Path::new("m.gguf.PART"), b"\x01\x02\x03\x04\x05").unwrap();
        assert!(told.contains(".PART") && told.contains("finish the download"), "{told}");
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for bytes in [&b"GGUX\x03\0\0\0"[..], &[1, 2, 3, 4], &[0xff; 600], b"\x01"] {
            assert_eq!(described_as(bytes), "");
        }
    }

    #[test]
    fn folders_are_told() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(folder(root.path()), "it is a folder; name a GGUF file");
        fs::write(root.path().join("config.json"), "{}").unwrap();
        assert!(folder(root.path()).contains("Hugging Face"));
        assert!(folder(root.path()).contains("convert_hf_to_gguf.py"));
        for name in ["m-00002-of-00002.gguf", "m-00001-of-00002.gguf"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        assert!(folder(root.path()).contains("such as `m-00001-of-00002.gguf`"));
    }
}
