//! Colours that stand for numbers. Both scales rise evenly in lightness, so that they read the same
//! to people who do not tell red from green, and in print without colours.

/// Colours between these are mixed.
type Stops = &'static [[u8; 3]];

/// Viridis, of matplotlib, without its darkest eighth, which is lost on a dark page.
pub const VIRIDIS: Stops = &[
    [0x47, 0x2d, 0x7b],
    [0x3b, 0x52, 0x8b],
    [0x2c, 0x72, 0x8e],
    [0x21, 0x91, 0x8c],
    [0x28, 0xae, 0x80],
    [0x5e, 0xc9, 0x62],
    [0xad, 0xdc, 0x30],
    [0xfd, 0xe7, 0x25],
];

/// Cividis (Nuñez, Anderton and Renslow, 2018), without its darkest ninth.
pub const CIVIDIS: Stops = &[
    [0x12, 0x35, 0x70],
    [0x3b, 0x49, 0x6c],
    [0x57, 0x5d, 0x6d],
    [0x70, 0x71, 0x73],
    [0x8a, 0x86, 0x78],
    [0xa5, 0x9c, 0x74],
    [0xc3, 0xb3, 0x69],
    [0xe1, 0xcc, 0x55],
    [0xfe, 0xe8, 0x38],
];

/// The colour at a place of a scale, from 0 to 1, as CSS has it.
pub fn at(stops: Stops, place: f64) -> String {
    let place = if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 };
    let place = place * (stops.len() - 1) as f64;
    let low = (place as usize).min(stops.len() - 2);
    let share = place - low as f64;
    let mixed: [u8; 3] = std::array::from_fn(|i| {
        let [a, b] = [stops[low][i], stops[low + 1][i]].map(f64::from);
        (a + share * (b - a)).round() as u8
    });
    format!("#{:02x}{:02x}{:02x}", mixed[0], mixed[1], mixed[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_mixed_between_their_stops() {
        assert_eq!(at(VIRIDIS, 0.0), "#472d7b");
        assert_eq!(at(VIRIDIS, 1.0), "#fde725");
        assert_eq!(at(VIRIDIS, 1.0 / 14.0), "#414083");
        assert_eq!([at(CIVIDIS, -1.0), at(CIVIDIS, f64::NAN)], ["#123570"; 2]);
        assert_eq!(at(CIVIDIS, 2.0), "#fee838");
    }
}
