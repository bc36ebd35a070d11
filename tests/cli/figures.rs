//! The sizes that were asked for, and what is lost for them.

use opencog_qat::gguf::{Format, Value};

use crate::folder::{Folder, Report};
use crate::models::Model;

/// The number after `before` in `message`.
#[track_caller]
fn number_after(message: &str, before: &str) -> String {
    let (_, rest) = message.split_once(before).unwrap_or_else(|| panic!("{before}: {message}"));
    rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect()
}

#[test]
fn a_file_of_the_size_asked_for_is_close_to_it() {
    let folder = Folder::with_tiny();
    for size in [2_100_000, 2_400_000, 2_900_001, 3_333_333, 3_900_000] {
        let report = folder.quantize(&format!("--size {size}"));
        let bytes = folder.read("out.gguf").len() as u64;
        assert!(bytes <= size, "{bytes} > {size}");
        // Had a role fitted with 8 bits too, it would have them.
        let next = smallest_step_to_8_bits(&report);
        assert!(size - bytes < next + 4096, "{bytes} of {size}, and {next} more would be a step");
    }
    let all = folder.quantize("--size 1GB");
    assert!(all.quantized().all(|tensor| tensor.format == "Q8_0"));
}

/// Bytes that the cheapest change of one role to Q8_0 takes.
fn smallest_step_to_8_bits(report: &Report) -> u64 {
    let roles = report.quantized().map(|tensor| &tensor.role);
    let step = |role: &String| -> u64 {
        let tensors = report.quantized().filter(|tensor| tensor.role == *role);
        tensors.map(|tensor| tensor.weights() / 32 * 34 - tensor.bytes).sum()
    };
    roles.map(step).filter(|&step| step > 0).min().unwrap_or(u64::MAX / 2)
}

/// Models whose smallest files are told apart by padding, by the lines of the plan in the metadata,
/// and by the length of the flags.
fn odd_models() -> Vec<Folder> {
    let mut models = vec![Model::llama(256, Format::F16), Model::llama(96, Format::BF16)];
    for alignment in [8, 64, 4096] {
        let model = Model::llama(96, Format::F16).weights("odd_norm.weight", Format::F32, &[7]);
        models.push(model.key("general.alignment", Value::U32(alignment)));
    }
    // Many tensors, and roles whose tensors have rows of several lengths.
    let mut many = Model::llama(256, Format::F16);
    for block in 1..40 {
        let width = [32, 96, 256, 288, 512][block % 5];
        for part in ["attn_q", "ffn_up", "ffn_down", "other"] {
            let name = format!("blk.{block}.{part}.weight");
            many = many.weights(&name, Format::F16, &[width, 1 + block as u64 % 4]);
        }
    }
    models.push(many);
    models.iter().map(Folder::with).chain([Folder::with_tiny()]).collect()
}

#[test]
fn the_smallest_size_that_is_named_is_that_of_the_smallest_file() {
    for folder in odd_models() {
        for strategy in ["search", "fixed"] {
            let with = format!("--effort fast --strategy {strategy}");
            let message = folder.refused(&format!("{with} --force --size 10 in.gguf out.gguf"));
            let smallest = number_after(&message, "the smallest file that can be made has ");
            let size: u64 = smallest.parse().unwrap();
            folder.quantize(&format!("{with} --size {size}"));
            assert_eq!(folder.read("out.gguf").len() as u64, size);
            for less in [size - 1, size - 8] {
                let args = format!("{with} --force --size {less} in.gguf out.gguf");
                let message = folder.refused(&args);
                assert_eq!(number_after(&message, "that can be made has "), smallest);
            }
        }
    }
}

#[test]
fn the_least_bits_that_are_named_can_be_had() {
    let folder = Folder::with(&Model::llama(96, Format::F32));
    let message = folder.refused("--bpw 3 in.gguf out.gguf");
    let least = number_after(&message, "the least that can be had is ");
    assert_eq!(least, "4.5000");
    assert_eq!(folder.quantize(&format!("--bpw {least}")).quantized_bpw(), 4.5);
}

#[test]
fn the_largest_reduction_that_is_named_can_be_had() {
    let folder = Folder::with_tiny();
    let message = folder.refused("--reduction 0.95 in.gguf out.gguf");
    let most = number_after(&message, "0.95: ");
    let report = folder.quantize(&format!("--reduction {most}"));
    assert!(report.metrics.memory_reduction >= most.parse().unwrap());
}

#[test]
fn the_least_memory_that_is_named_is_that_of_the_smallest_file() {
    for folder in odd_models() {
        let message = folder.refused("--memory 0.000001 in.gguf out.gguf");
        let least = number_after(&message, "--memory 0.000001: ");
        let report = folder.quantize(&format!("--memory {least}"));
        let bytes = (least.parse::<f64>().unwrap() * 1e9).round() as u64;
        let needed = report.metrics.output_bytes + report.metrics.kv_cache_bytes.unwrap_or(0);
        assert!(needed <= bytes, "{needed} of {bytes}");
        let less = (bytes - 1) as f64 / 1e9;
        folder.refused_with(&format!("--memory {less} --force in.gguf out.gguf"), &least);
    }
}

#[test]
fn a_size_is_used_to_the_last_byte_and_never_exceeded() {
    let folder = Folder::with(&Model::llama(96, Format::F16));
    let smallest = folder.refused("--size 10 in.gguf out.gguf");
    let smallest: u64 = number_after(&smallest, "can be made has ").parse().unwrap();
    let mut last = smallest;
    for size in (smallest..smallest + 2200).step_by(37) {
        folder.quantize(&format!("--size {size}"));
        let bytes = folder.read("out.gguf").len() as u64;
        assert!(bytes <= size, "{bytes} of {size}");
        // What a larger size has room for, its own number allows too.
        if bytes > last {
            folder.quantize(&format!("--size {bytes}"));
            assert_eq!(folder.read("out.gguf").len() as u64, bytes);
        }
        last = bytes;
    }
}

#[test]
fn sizes_and_reductions_hold_together() {
    let folder = Folder::with_tiny();
    let report = folder.quantize("--size 3000000 --reduction 0.8 --memory 0.0038");
    assert!(report.metrics.output_bytes <= 3_000_000);
    assert!(report.metrics.memory_reduction >= 0.8);
    let kv_cache = report.metrics.kv_cache_bytes.unwrap();
    assert!(report.metrics.output_bytes + kv_cache <= 3_800_000);
}

#[test]
fn more_context_leaves_less_for_the_weights() {
    let folder = Folder::with_tiny();
    let short = folder.quantize("--memory 0.005 --context 128 --bpw 8.5");
    let long = folder.quantize("--memory 0.005 --context 1024 --bpw 8.5");
    assert!(short.metrics.output_bytes > long.metrics.output_bytes);
    folder.refused("--memory 0.005 --context 100000 --force in.gguf out.gguf");
}

#[test]
fn bits_per_weight_are_a_ceiling() {
    let folder = Folder::with_tiny();
    for bpw in [4.25, 4.5, 5.0, 6.0, 7.3] {
        let reached = folder.quantize(&format!("--bpw {bpw}")).quantized_bpw();
        assert!(reached <= bpw && reached > bpw - 0.1, "{reached} of {bpw}");
    }
}

#[test]
fn the_default_is_a_quarter_of_32_bit_floats() {
    let report = Folder::with_tiny().quantize("");
    let reduction = report.metrics.memory_reduction;
    assert!((0.75..0.78).contains(&reduction), "{reduction}");
    assert!(report.warnings.is_empty());
}

#[test]
fn a_default_that_cannot_be_reached_gives_way_aloud() {
    let model = Model::llama(256, Format::F16).weights("odd.weight", Format::F32, &[80, 500]);
    let folder = Folder::with(&model);
    let report = folder.quantize("");
    assert!(report.warnings[0].contains("0.75"), "{:?}", report.warnings);
    assert!(report.quantized().all(|tensor| tensor.format == "IQ4_XS"), "as small as it can be");
    let args = "--reduction 0.75 --force in.gguf out.gguf";
    folder.refused_with(args, "is the most that can be reached");
}

#[test]
fn a_tighter_budget_never_loses_less() {
    let folder = Folder::with(&Model::llama(256, Format::F16));
    let mut last = f64::INFINITY;
    for quarter in 17..=34 {
        let bpw = f64::from(quarter) / 4.0;
        let error = folder.quantize(&format!("--bpw {bpw}")).planned_error();
        // The sums of the plan and of the report run in another order.
        assert!(error <= last * (1.0 + 1e-5), "{error} at {bpw}, {last} with a quarter bit less");
        last = error;
    }
}

#[test]
fn bits_bound_the_formats() {
    let folder = Folder::with(&Model::llama(256, Format::F16));
    for (bits, allowed) in [
        ("4", &["IQ4_XS", "IQ4_NL", "Q4_0", "Q4_K", "Q4_1"][..]),
        ("5:6", &["Q5_0", "Q5_1", "Q5_K", "Q6_K"]),
        ("6:6", &["Q6_K"]),
        ("8:8", &["Q8_0"]),
    ] {
        let report = folder.quantize(&format!("--bits {bits}"));
        let formats: Vec<&str> = report.quantized().map(|tensor| &*tensor.format).collect();
        assert!(formats.iter().all(|format| allowed.contains(format)), "{bits}: {formats:?}");
        assert_eq!(formats.len(), 8, "the eight matrices");
    }
}

#[test]
fn formats_are_only_those_listed() {
    let folder = Folder::with(&Model::llama(256, Format::F16));
    let report = folder.quantize("--formats q4_k,Q6_K --bpw 6");
    let formats: Vec<&str> = report.quantized().map(|tensor| &*tensor.format).collect();
    assert!(formats.iter().all(|format| ["Q4_K", "Q6_K"].contains(format)), "{formats:?}");
    assert!(formats.contains(&"Q6_K") && report.quantized_bpw() <= 6.0);
}
