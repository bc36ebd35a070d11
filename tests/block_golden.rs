//! Blocks whose values, or whose bytes, are known.

use opencog_qat::block;
use opencog_qat::gguf::Format;
use serde_json::Value;

/// What `tests/data/golden_blocks.py` wrote: gguf-py's decode of blocks of every format.
const GOLDEN: &str = include_str!("data/golden_blocks.json");

#[test]
fn blocks_decode_to_the_bits_of_gguf_py() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let golden = golden.as_object().unwrap();
    let decodable = Format::all().filter(|&format| block::can_decode(format)).count();
    assert_eq!(golden.len(), decodable, "every format that is decoded");
    for (name, block) in golden {
        let format: Format = name.parse().unwrap();
        let bytes = from_hex(block["bytes"].as_str().unwrap());
        let expected = from_hex(block["values"].as_str().unwrap());
        let expected: Vec<u32> =
            expected.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let mut values = vec![0.0; expected.len()];
        block::decode(format, &bytes, &mut values);
        let values: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
        assert_eq!(values, expected, "{format}");
    }
}

/// The hash of what each format's encoder makes of [`row`], without and with importance. It is the
/// same on every CPU. Whoever changes a search on purpose puts the new hashes here, which the
/// failing test prints.
const ENCODED: [(Format, u64, u64); 11] = [
    (Format::Q4_0, 13554934778191944384, 10040292901215327461),
    (Format::Q4_1, 15986613216115072086, 14268045888189718886),
    (Format::Q5_0, 1976968001228199337, 7429733879362671668),
    (Format::Q5_1, 604210212495937209, 14552692889414126712),
    (Format::Q8_0, 8432407376847198036, 13017749496086857291),
    (Format::Q4_K, 18305362538502181511, 13627995416288087241),
    (Format::Q5_K, 15594580935623329217, 18174470297451415307),
    (Format::Q6_K, 6953321149264926323, 14438887926398786499),
    (Format::IQ4_NL, 9745228658234821997, 6927900696533281368),
    (Format::IQ4_XS, 8109586208127048883, 7271330365799674214),
    (Format::MXFP4, 10711005188017620528, 12733181461645598686),
];

#[test]
fn encoders_make_the_bytes_they_always_made() {
    let (row, importance) = (row(), importance());
    let encoded = |format: Format, importance: Option<&[f32]>| {
        let mut bytes = vec![0; format.bytes_of(row.len() as u64).unwrap() as usize];
        block::encode(format, &row, row.len(), importance, &mut bytes);
        fnv1a(&bytes)
    };
    let now = ENCODED.map(|(f, ..)| (f, encoded(f, None), encoded(f, Some(&importance))));
    assert_eq!(now, ENCODED, "the hashes now");
}

/// ggml's own MXFP4 blocks of the first 128 values of [`row`] (`quantize_row_mxfp4_ref`, by
/// libgguf and by gguf-py 0.19.0 alike).
const MXFP4_OF_GGML: &str = "773fe1536377762edf34ce576624d0a6637735a651d16a1c52cc7f72df2f5fbd9f\
                             ab7859cd9b65206d49e01dd10a994092d46b78614d12d4bc6dd392420c23b09b5ad54c";

#[test]
fn blocks_of_ggml_in_mxfp4_are_encoded_to_themselves_and_ours_lose_no_more() {
    let theirs = from_hex(MXFP4_OF_GGML);
    let decoded = |blocks: &[u8]| {
        let mut values = vec![0.0; 128];
        block::decode(Format::MXFP4, blocks, &mut values);
        values
    };
    let encoded = |values: &[f32]| {
        let mut blocks = vec![0; theirs.len()];
        block::encode(Format::MXFP4, values, 128, None, &mut blocks);
        blocks
    };
    assert_eq!(encoded(&decoded(&theirs)), theirs);
    let row = &row()[..128];
    let ours = encoded(row);
    for block in 0..4 {
        let x = &row[32 * block..][..32];
        let error = |blocks: &[u8]| block::squared_error(x, &decoded(blocks)[32 * block..][..32]);
        assert!(error(&ours).error <= error(&theirs).error, "block {block}");
    }
    assert_ne!(ours, theirs, "the largest magnitude alone does not tell the best scale");
}

/// Weights of a bell shape, exact in F32: sums of four numbers of a linear congruential generator.
fn row() -> Vec<f32> {
    let mut state = 12345u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 20) as f32 - 2047.5
    };
    (0..2048).map(|_| (next() + next() + next() + next()) / 131_072.0).collect()
}

/// Importance from 1 to 64, repeating.
fn importance() -> Vec<f32> {
    (0..2048).map(|i| ((i * 37) % 64 + 1) as f32).collect()
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
