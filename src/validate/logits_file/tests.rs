use proptest::prelude::*;

use super::*;
use crate::validate::Chunks;

/// A file about `rows` of logits, one for each scored position of a text of small chunks.
fn written(context: usize, rows: &[Vec<f32>]) -> Vec<u8> {
    let vocabulary = rows[0].len();
    let chunks = rows.len() / scored(context).len();
    let text = (0..context * chunks).map(|i| (i * 7 % vocabulary) as u32).collect();
    let chunks = Chunks::new(text, context, None, Some(0)).unwrap();
    let mut writer = LogitsWriter::new(Vec::new(), &chunks, vocabulary).unwrap();
    for row in rows {
        writer.position(&encode_logits(row).unwrap()).unwrap();
    }
    writer.finish().unwrap()
}

fn open(bytes: &[u8]) -> Result<LogitsReader<&[u8]>, LogitsFileError> {
    LogitsReader::new(bytes, bytes.len() as u64)
}

fn log_softmax(row: &[f32]) -> Vec<f64> {
    let high = row.iter().fold(f64::NEG_INFINITY, |high, &x| high.max(f64::from(x)));
    let sum: f64 = row.iter().map(|&x| (f64::from(x) - high).exp()).sum();
    row.iter().map(|&x| f64::from(x) - high - sum.ln()).collect()
}

/// Rows for two chunks of 8 tokens, of which 3 are scored.
fn rows() -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1usize..40).prop_flat_map(|vocabulary| {
        let row = proptest::collection::vec(-25f32..25.0, vocabulary);
        proptest::collection::vec(row, 6)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(rows in rows()) {
        let bytes = written(8, &rows);
        let mut reader = open(&bytes).unwrap();
        let vocabulary = rows[0].len();
        let header = LogitsHeader { context: 8, vocabulary: vocabulary as u32, chunks: 2 };
        prop_assert_eq!(reader.header(), header);
        prop_assert_eq!(header.file_bytes(), Some(bytes.len() as u64));
        let mut row = vec![0.0; vocabulary];
        for (i, logits) in rows.iter().enumerate() {
            let next = reader.position(&mut row).unwrap();
            prop_assert_eq!(next, Some(reader.tokens()[8 * (i / 3) + 5 + i % 3]));
            let truth = log_softmax(logits);
            let high = truth.iter().fold(f64::NEG_INFINITY, |high, &x| high.max(x));
            for (&read, truth) in row.iter().zip(truth) {
                // Half a step, and what F32 rounds.
                let error = (f64::from(read) - truth.max(high - 16.0)).abs();
                prop_assert!(error < 0.5 * 16.0 / 65535.0 + 1e-5, "{} {}", read, truth);
            }
        }
        prop_assert_eq!(reader.position(&mut row).unwrap(), None);
    }

    #[test]
    fn what_is_read_is_written_again(rows in rows()) {
        let bytes = written(8, &rows);
        let mut reader = open(&bytes).unwrap();
        let mut row = vec![0.0; rows[0].len()];
        for logits in &rows {
            reader.position(&mut row).unwrap();
            let codes = |record: Vec<u8>| -> Vec<i32> {
                let codes = record[8..].as_chunks().0.iter();
                codes.map(|&code| i32::from(u16::from_le_bytes(code))).collect()
            };
            let first = codes(encode_logits(logits).unwrap());
            let again = codes(encode_logits(&row).unwrap());
            for (first, again) in first.iter().zip(&again) {
                prop_assert!((first - again).abs() <= 1, "{} {}", first, again);
            }
        }
    }

    #[test]
    fn any_change_of_the_header_is_noticed(at in 0usize..20, byte in any::<u8>()) {
        let mut bytes = written(8, &vec![vec![0.5, 1.0, 2.0]; 6]);
        prop_assume!(bytes[at] != byte);
        // Records hold an even number of codes: vocabularies of 3 and 4 make files of one size.
        prop_assume!((at, byte) != (12, 4));
        bytes[at] = byte;
        prop_assert!(matches!(open(&bytes), Err(LogitsFileError::Format(_))));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let bytes = [MAGIC.as_slice(), &bytes].concat();
        prop_assert!(open(&bytes).is_err());
    }
}

#[test]
fn the_bytes_are_those_of_llama_perplexity() {
    // Odd, so that a word fills each record up.
    let row = vec![2.0, 1.0, -20.0];
    let bytes = written(3, &[row]);
    let log_sum = (1.0 + (-1.0f32).exp()).ln();
    let (step, min) = (16.0f32 / 65535.0, -16.0 - log_sum);
    let code = (1.0 / step * 15.0).round() as u16;
    let mut expected = b"_logits_".to_vec();
    expected.extend([3u32, 3, 1, 0, 1, 2].iter().flat_map(|n| n.to_le_bytes()));
    expected.extend([step, min].iter().flat_map(|x| x.to_le_bytes()));
    expected.extend([65535, code, 0, 0].iter().flat_map(|code: &u16| code.to_le_bytes()));
    assert_eq!(bytes, expected);
}

#[test]
fn equal_logits_have_codes_too() {
    let bytes = written(3, &[vec![7.0; 4]]);
    let mut reader = open(&bytes).unwrap();
    let mut row = [0.0; 4];
    assert_eq!(reader.position(&mut row).unwrap(), Some(2));
    assert_eq!(row, [-(4f32.ln()); 4]);
}

#[test]
fn what_is_cut_short_or_too_long_is_refused() {
    let whole = written(8, &vec![vec![0.5, 1.0, 2.0]; 6]);
    for len in 0..whole.len() {
        let refused = open(&whole[..len]).unwrap_err().to_string();
        let said = if len < 20 { "too few" } else { "was it written to the end?" };
        assert!(refused.contains(said), "{len}: {refused}");
    }
    let long = [whole.as_slice(), &[0]].concat();
    let refused = open(&long).unwrap_err().to_string();
    assert!(refused.contains(&format!("should have {}", whole.len())), "{refused}");
}

#[test]
fn huge_counts_allocate_nothing() {
    let most = i32::MAX as u32;
    let hostile = [
        [most, most, most],
        [512, most, most],
        [most, 49_152, 1],
        [512, 49_152, most],
        [u32::MAX, u32::MAX, u32::MAX],
        [1 << 31, 8, 1],
        [0, 8, 1],
        [2, 8, 1],
        [512, 0, 1],
        [512, 8, 0],
    ];
    for numbers in hostile {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
        bytes.resize(4096, 0);
        let refused = open(&bytes).unwrap_err();
        assert!(matches!(refused, LogitsFileError::Format(_)), "{numbers:?}: {refused}");
    }
}

#[test]
fn impossible_tokens_and_scales_are_refused() {
    let whole = written(3, &[vec![0.5, 1.0, 2.0]]);
    let changed = |at: usize, bytes: [u8; 4]| {
        let mut file = whole.clone();
        file[at..at + 4].copy_from_slice(&bytes);
        file
    };
    for token in [3, u32::MAX] {
        let refused = open(&changed(24, token.to_le_bytes())).unwrap_err().to_string();
        assert_eq!(refused, format!("token 1 is {token}, in a vocabulary of 3"));
    }
    for (at, bad) in [(32, f32::NAN), (32, -1.0), (32, 1e38), (36, f32::NAN), (36, 3.0)] {
        let file = changed(at, bad.to_le_bytes());
        let refused = open(&file).unwrap().position(&mut [0.0; 3]).unwrap_err().to_string();
        assert!(refused.starts_with("position 0 has codes"), "{refused}");
    }
}
