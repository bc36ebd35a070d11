//! Writing a GGUF file of version 3, tensor after tensor, to any sink.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::decode::MAX_DEPTH;
use super::error::{Error, grouped, quoted};
use super::header::{MAX_KEYS, MAX_TENSORS, alignment, check_key};
use super::metadata::Metadata;
use super::string::encode_string;
use super::tensor::{TensorSpec, check_name, checked_bytes};
use super::value::Value;

/// Bytes of a file with this metadata and these tensors, or why there can be none.
pub fn encoded_size(metadata: &Metadata, tensors: &[TensorSpec]) -> Result<u64, String> {
    Layout::new(metadata, tensors).map(|layout| layout.file_bytes)
}

/// Bytes of the header of such a file, without the padding after it, or why there can be none.
pub fn header_size(metadata: &Metadata, tensors: &[TensorSpec]) -> Result<u64, String> {
    Layout::new(metadata, tensors).map(|_| header_len(metadata, tensors))
}

/// Where everything will stand.
struct Layout {
    alignment: u64,
    /// Bytes before the tensor data, padding included.
    data: u64,
    /// Offset in the data section and bytes of each tensor.
    tensors: Vec<(u64, u64)>,
    file_bytes: u64,
}

impl Layout {
    fn new(metadata: &Metadata, tensors: &[TensorSpec]) -> Result<Layout, String> {
        let alignment = alignment(metadata)?;
        check_metadata(metadata)?;
        if tensors.len() as u64 > MAX_TENSORS {
            return Err(format!("{} tensors are more than {MAX_TENSORS}", tensors.len()));
        }
        let too_large = || "the file would be too large".to_string();
        let mut names = HashSet::new();
        let mut places = Vec::with_capacity(tensors.len());
        let mut end = 0u64;
        for tensor in tensors {
            check_name(&tensor.name)?;
            let name = quoted(tensor.name.as_bytes());
            if !names.insert(tensor.name.as_str()) {
                return Err(format!("the tensor {name} stands twice"));
            }
            let bytes = checked_bytes(tensor.format, &tensor.shape)
                .map_err(|fault| format!("tensor {name} {fault}"))?;
            places.push((end, bytes));
            let padded = bytes.checked_next_multiple_of(alignment).ok_or_else(too_large)?;
            end = end.checked_add(padded).ok_or_else(too_large)?;
        }
        let data = header_len(metadata, tensors).next_multiple_of(alignment);
        let file_bytes = data.checked_add(end).ok_or_else(too_large)?;
        Ok(Layout { alignment, data, tensors: places, file_bytes })
    }
}

fn check_metadata(metadata: &Metadata) -> Result<(), String> {
    if metadata.len() as u64 > MAX_KEYS {
        return Err(format!("{} metadata keys are more than {MAX_KEYS}", metadata.len()));
    }
    for (key, value) in metadata.iter() {
        check_key(key)?;
        if value.as_array().is_some_and(|array| array.depth() > MAX_DEPTH) {
            return Err(format!("the arrays of `{key}` are nested deeper than {MAX_DEPTH}"));
        }
    }
    Ok(())
}

/// Bytes up to the end of the table of tensors.
fn header_len(metadata: &Metadata, tensors: &[TensorSpec]) -> u64 {
    let key = |(key, value): (&str, &Value)| 8 + key.len() as u64 + 4 + value.encoded_len();
    let tensor = |tensor: &TensorSpec| {
        8 + tensor.name.len() as u64 + 4 + 8 * tensor.shape.dims().len() as u64 + 4 + 8
    };
    24 + metadata.iter().map(key).sum::<u64>() + tensors.iter().map(tensor).sum::<u64>()
}

fn header(metadata: &Metadata, tensors: &[TensorSpec], layout: &Layout) -> Vec<u8> {
    let mut out = Vec::with_capacity(header_len(metadata, tensors) as usize);
    out.extend(b"GGUF");
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata.iter() {
        encode_string(key.as_bytes(), &mut out);
        out.extend(value.value_type().id().to_le_bytes());
        value.encode(&mut out);
    }
    for (tensor, (offset, _)) in tensors.iter().zip(&layout.tensors) {
        encode_string(tensor.name.as_bytes(), &mut out);
        out.extend((tensor.shape.dims().len() as u32).to_le_bytes());
        tensor.shape.dims().iter().for_each(|dim| out.extend(dim.to_le_bytes()));
        out.extend(tensor.format.id().to_le_bytes());
        out.extend(offset.to_le_bytes());
    }
    out
}

/// Writes one file: the header at once, then the bytes of the tensors as they come.
pub struct Writer<W: Write> {
    sink: W,
    /// The file's name, for messages.
    path: PathBuf,
    alignment: u64,
    file_bytes: u64,
    /// Name and bytes of each tensor.
    tensors: Vec<(String, u64)>,
    /// The tensor whose bytes come next, and how many of them have come.
    current: usize,
    filled: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the header of a file with this metadata and these tensors, whose bytes will follow in
    /// the same order. `path` names the file in messages. The tensors are aligned as
    /// `general.alignment` asks, to 32 bytes where it isn't there.
    pub fn new(
        sink: W,
        path: &Path,
        metadata: &Metadata,
        tensors: &[TensorSpec],
    ) -> Result<Writer<W>, Error> {
        let layout = Layout::new(metadata, tensors).map_err(|what| Error::parameter(path, what))?;
        let bytes = layout.tensors.iter().map(|place| place.1);
        let mut writer = Writer {
            sink,
            path: path.into(),
            alignment: layout.alignment,
            file_bytes: layout.file_bytes,
            tensors: tensors.iter().map(|tensor| tensor.name.clone()).zip(bytes).collect(),
            current: 0,
            filled: 0,
        };
        let header = header(metadata, tensors, &layout);
        writer.put(&header)?;
        writer.pad(layout.data - header.len() as u64)?;
        Ok(writer)
    }

    /// Writes the next bytes of the tensor whose turn it is; the last of them makes it the next
    /// one's turn.
    pub fn tensor_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some((name, expected)) = self.tensors.get(self.current) else {
            let what = format!("{} bytes come after the last tensor", grouped(bytes.len() as u64));
            return Err(Error::parameter(&self.path, what));
        };
        let (expected, filled) = (*expected, self.filled + bytes.len() as u64);
        if filled > expected {
            let what = format!(
                "tensor {} takes {} bytes, and {} came",
                quoted(name.as_bytes()),
                grouped(expected),
                grouped(filled)
            );
            return Err(Error::parameter(&self.path, what));
        }
        self.put(bytes)?;
        self.filled = filled;
        if filled == expected {
            self.pad(expected.next_multiple_of(self.alignment) - expected)?;
            self.current += 1;
            self.filled = 0;
        }
        Ok(())
    }

    /// Ends the file, of which nothing may be missing, and gives the sink back.
    pub fn finish(mut self) -> Result<W, Error> {
        if let Some((name, expected)) = self.tensors.get(self.current) {
            let what = format!(
                "tensor {} takes {} bytes, and only {} came",
                quoted(name.as_bytes()),
                grouped(*expected),
                grouped(self.filled)
            );
            return Err(Error::parameter(&self.path, what));
        }
        self.sink.flush().map_err(|source| self.failed(source))?;
        Ok(self.sink)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sink.write_all(bytes).map_err(|source| self.failed(source))
    }

    fn pad(&mut self, mut count: u64) -> Result<(), Error> {
        const ZEROS: [u8; 4096] = [0; 4096];
        while count > 0 {
            let now = count.min(ZEROS.len() as u64);
            self.put(&ZEROS[..now as usize])?;
            count -= now;
        }
        Ok(())
    }

    fn failed(&self, source: std::io::Error) -> Error {
        let doing = format!("cannot write the file of {} bytes", grouped(self.file_bytes));
        Error::io(&self.path, doing, source)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::gguf::{Format, Shape};

    fn spec(name: &str, format: Format, dims: &[u64]) -> TensorSpec {
        TensorSpec { name: name.into(), format, shape: Shape::new(dims).unwrap() }
    }

    fn two() -> [TensorSpec; 2] {
        [spec("a", Format::I8, &[5]), spec("b", Format::F16, &[2, 2])]
    }

    fn writer(tensors: &[TensorSpec]) -> Writer<Vec<u8>> {
        Writer::new(Vec::new(), Path::new("out.gguf"), &Metadata::new(), tensors).unwrap()
    }

    #[test]
    fn tensors_come_in_pieces_and_are_padded() {
        let mut writer = writer(&two());
        writer.tensor_bytes(&[1, 2]).unwrap();
        writer.tensor_bytes(&[3, 4, 5]).unwrap();
        writer.tensor_bytes(&[9; 8]).unwrap();
        let file = writer.finish().unwrap();
        assert_eq!(file.len() as u64, encoded_size(&Metadata::new(), &two()).unwrap());
        assert_eq!(file.len() % 32, 0);
        assert_eq!(file[file.len() - 64..][..8], [1, 2, 3, 4, 5, 0, 0, 0]);
        assert_eq!(file[file.len() - 32..][..9], [9, 9, 9, 9, 9, 9, 9, 9, 0]);
    }

    #[test]
    fn bytes_are_counted() {
        let mut early = writer(&two());
        early.tensor_bytes(&[0; 5]).unwrap();
        let error = early.tensor_bytes(&[0; 9]).unwrap_err().to_string();
        assert!(error.contains("out.gguf: tensor `b` takes 8 bytes, and 9 came"), "{error}");
        let error = early.finish().err().unwrap().to_string();
        assert!(error.contains("`b` takes 8 bytes, and only 0 came"), "{error}");
        let error = writer(&[]).tensor_bytes(&[0]).unwrap_err().to_string();
        assert!(error.contains("after the last tensor"), "{error}");
    }

    #[test]
    fn what_could_not_be_read_is_not_written() {
        let fault = |tensor| encoded_size(&Metadata::new(), &[two()[0].clone(), tensor]);
        assert!(fault(spec("a", Format::I8, &[1])).unwrap_err().contains("stands twice"));
        assert!(fault(spec("b", Format::Q8_0, &[33])).unwrap_err().contains("multiple of 32"));
        assert!(fault(spec(&"b".repeat(64), Format::I8, &[1])).unwrap_err().contains("64 bytes"));
        let large = encoded_size(
            &Metadata::new(),
            &["a", "b", "c"].map(|name| spec(name, Format::I8, &[isize::MAX as u64])),
        );
        assert!(large.unwrap_err().contains("too large"));
        for (key, value) in [("", Value::U8(0)), ("general.alignment", Value::U32(24))] {
            let mut metadata = Metadata::new();
            metadata.set(key, value);
            assert!(encoded_size(&metadata, &[]).is_err(), "{key}");
        }
    }

    #[test]
    fn a_full_disk_is_reported() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = Writer::new(Full, Path::new("out.gguf"), &Metadata::new(), &two());
        let error = error.err().unwrap();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains("out.gguf: cannot write the file of 192 bytes"));
        assert!(source.contains("no storage space"), "{source}");
    }
}
