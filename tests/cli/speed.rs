//! `--speed`: a floor that the plan keeps to; and what `--hardware gpu` makes of it.

use serde_json::Value as Json;

use crate::folder::Folder;

/// As little text as can be calibrated and measured on.
const LITTLE: &str = "--effort standard --batches 1 --batch-size 4 --seq-len 64";

/// The speed of what these flags give, against Q4_0.
#[track_caller]
fn speeds(folder: &Folder, flags: &str) -> (f64, f64, u64) {
    let bytes = folder.quantize(flags).metrics.output_bytes;
    let report: Json = serde_json::from_slice(&folder.read("report.json")).unwrap();
    let of = |phase: &str| report["figures"]["against_q4_0"][phase].as_f64().unwrap();
    (of("generation"), of("prompt"), bytes)
}

#[test]
fn a_floor_is_kept_to_on_any_machine() {
    let folder = Folder::with_tiny();
    for hardware in ["cpu", "gpu"] {
        let flags = format!("--effort fast --hardware {hardware} --bpw 5.5");
        let (free, _, _) = speeds(&folder, &flags);
        assert!(free < 0.92, "{flags}: {free}");
        let (held, _, bytes) = speeds(&folder, &format!("{flags} --speed 0.95"));
        assert!(held >= 0.95, "{flags}: {held}");
        assert!(bytes > 2_000_000, "{flags}: what is left of the room is used: {bytes}");
    }
}

#[test]
fn prompts_have_a_floor_of_their_own() {
    let folder = Folder::with_tiny();
    let flags = "--bpw 6 --formats Q4_0,Q8_0";
    let (_, free, _) = speeds(&folder, flags);
    let (_, held, _) = speeds(&folder, &format!("{flags} --speed prompt:0.95"));
    assert!(free < 0.9 && held >= 0.95, "{free} and {held}");
}

#[test]
fn a_speed_that_no_plan_has_is_refused_with_the_fastest_that_can_be_had() {
    let folder = Folder::with_tiny();
    for hardware in ["cpu", "gpu"] {
        let flags = format!("--effort fast --hardware {hardware} --bits 6:8");
        let message = folder.refused(&format!("{flags} --speed 3 --force in.gguf out.gguf"));
        let (_, rest) = message.split_once("--speed 3: ").expect(&message);
        let fastest: f64 = rest.split_whitespace().next().unwrap().parse().unwrap();
        assert!(message.contains("--bits 6:8") && fastest < 1.0, "{message}");
        let (held, ..) = speeds(&folder, &format!("{flags} --speed {fastest}"));
        assert!(held >= fastest && held < fastest + 0.01, "{held} for {fastest}");
        std::fs::remove_file(folder.path("out.gguf")).unwrap();
        std::fs::remove_file(folder.path("report.json")).unwrap();
    }
    folder.refused_with("--speed 0 --force in.gguf out.gguf", "--speed 0: must be more than 0");
}

#[test]
fn a_search_keeps_to_it_with_the_same_bytes_for_any_number_of_threads() {
    let folder = Folder::with_tiny();
    for threads in [1, 3] {
        let flags = format!("{LITTLE} --bpw 5.5 --speed 0.95 --threads {threads}");
        let (held, _, _) = speeds(&folder, &flags);
        assert!(held >= 0.95, "{held}");
        std::fs::rename(folder.path("out.gguf"), folder.path(&format!("{threads}.gguf"))).unwrap();
    }
    assert!(folder.read("1.gguf") == folder.read("3.gguf"));
}

/// The second command of the specification, but for the text that it is calibrated on.
#[test]
fn a_model_for_a_gpu_has_six_to_eight_bits() {
    let folder = Folder::with_tiny();
    let report = folder
        .quantize(&format!("{LITTLE} --hardware gpu --memory 16.0 --accuracy 0.015 --bits 6:8"));
    assert!(report.quantized().all(|tensor| ["Q6_K", "Q8_0"].contains(&tensor.format.as_str())));
    let flags = "--hardware gpu --memory 16 --accuracy 0.015 --bits 6:8 ";
    assert!(report.flags.starts_with(flags), "{}", report.flags);
}
