//! The digits with which BigQuery's JSON shows a FLOAT64.
//!
//! They are those of Grisu2 (F. Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with Integers", 2010) as nlohmann's JSON for C++
//! has it, with which GoogleSQL prints a number to see whether it comes back (google/zetasql, `zetasql/public/json_value.cc`,
//! `CheckNumberRoundtrip`). They are read back as the same number, and of a thousand numbers with six decimals one or two have more of them than
//! they need: 67.174118 is shown as 67.17411800000001.

/// A number: `significand` times two to the `exponent`.
#[derive(Clone, Copy)]
struct Binary {
    significand: u64,
    exponent: i32,
}

/// Normalized significands of 10^-300, 10^-292, and so on up to 10^324, rounded.
const POWERS: [u64; 79] = [
    0xAB70_FE17_C79A_C6CA,
    0xFF77_B1FC_BEBC_DC4F,
    0xBE56_91EF_416B_D60C,
    0x8DD0_1FAD_907F_FC3C,
    0xD351_5C28_3155_9A83,
    0x9D71_AC8F_ADA6_C9B5,
    0xEA9C_2277_23EE_8BCB,
    0xAECC_4991_4078_536D,
    0x823C_1279_5DB6_CE57,
    0xC210_9436_4DFB_5637,
    0x9096_EA6F_3848_984F,
    0xD774_85CB_2582_3AC7,
    0xA086_CFCD_97BF_97F4,
    0xEF34_0A98_172A_ACE5,
    0xB238_67FB_2A35_B28E,
    0x84C8_D4DF_D2C6_3F3B,
    0xC5DD_4427_1AD3_CDBA,
    0x936B_9FCE_BB25_C996,
    0xDBAC_6C24_7D62_A584,
    0xA3AB_6658_0D5F_DAF6,
    0xF3E2_F893_DEC3_F126,
    0xB5B5_ADA8_AAFF_80B8,
    0x8762_5F05_6C7C_4A8B,
    0xC9BC_FF60_34C1_3053,
    0x964E_858C_91BA_2655,
    0xDFF9_7724_7029_7EBD,
    0xA6DF_BD9F_B8E5_B88F,
    0xF8A9_5FCF_8874_7D94,
    0xB944_7093_8FA8_9BCF,
    0x8A08_F0F8_BF0F_156B,
    0xCDB0_2555_6531_31B6,
    0x993F_E2C6_D07B_7FAC,
    0xE45C_10C4_2A2B_3B06,
    0xAA24_2499_6973_92D3,
    0xFD87_B5F2_8300_CA0E,
    0xBCE5_0864_9211_1AEB,
    0x8CBC_CC09_6F50_88CC,
    0xD1B7_1758_E219_652C,
    0x9C40_0000_0000_0000,
    0xE8D4_A510_0000_0000,
    0xAD78_EBC5_AC62_0000,
    0x813F_3978_F894_0984,
    0xC097_CE7B_C907_15B3,
    0x8F7E_32CE_7BEA_5C70,
    0xD5D2_38A4_ABE9_8068,
    0x9F4F_2726_179A_2245,
    0xED63_A231_D4C4_FB27,
    0xB0DE_6538_8CC8_ADA8,
    0x83C7_088E_1AAB_65DB,
    0xC45D_1DF9_4271_1D9A,
    0x924D_692C_A61B_E758,
    0xDA01_EE64_1A70_8DEA,
    0xA26D_A399_9AEF_774A,
    0xF209_787B_B47D_6B85,
    0xB454_E4A1_79DD_1877,
    0x865B_8692_5B9B_C5C2,
    0xC835_53C5_C896_5D3D,
    0x952A_B45C_FA97_A0B3,
    0xDE46_9FBD_99A0_5FE3,
    0xA59B_C234_DB39_8C25,
    0xF6C6_9A72_A398_9F5C,
    0xB7DC_BF53_54E9_BECE,
    0x88FC_F317_F222_41E2,
    0xCC20_CE9B_D35C_78A5,
    0x9816_5AF3_7B21_53DF,
    0xE2A0_B5DC_971F_303A,
    0xA8D9_D153_5CE3_B396,
    0xFB9B_7CD9_A4A7_443C,
    0xBB76_4C4C_A7A4_4410,
    0x8BAB_8EEF_B640_9C1A,
    0xD01F_EF10_A657_842C,
    0x9B10_A4E5_E991_3129,
    0xE710_9BFB_A19C_0C9D,
    0xAC28_20D9_623B_F429,
    0x8044_4B5E_7AA7_CF85,
    0xBF21_E440_03AC_DD2D,
    0x8E67_9C2F_5E44_FF8F,
    0xD433_179D_9C8C_B841,
    0x9E19_DB92_B4E3_1BA9,
];
const FIRST_POWER: i32 = -300;
const POWER_STEP: i32 = 8;
/// The least binary exponent of a scaled number.
const LEAST_EXPONENT: i32 = -60;
/// Digits of a FLOAT64's significand, and by how much its stored exponent is more (IEEE 754, binary64).
const PRECISION: u32 = 53;
const BIAS: i32 = 1_023 + PRECISION as i32 - 1;

impl Binary {
    fn normalized(self) -> Self {
        let shift = self.significand.leading_zeros();
        Self { significand: self.significand << shift, exponent: self.exponent - shift as i32 }
    }

    /// The product, rounded to 64 digits.
    fn times(self, other: Self) -> Self {
        let product = u128::from(self.significand) * u128::from(other.significand);
        let rounded = (product + (1 << 63)) >> 64;
        Self { significand: rounded as u64, exponent: self.exponent + other.exponent + 64 }
    }
}

/// A power of ten that brings a number of this binary exponent to one between -60 and -32, and which it is.
fn power_for(exponent: i32) -> Option<(Binary, i32)> {
    let wanted = LEAST_EXPONENT - exponent - 1;
    let least = (wanted * 78_913) / (1 << 18) + i32::from(wanted > 0);
    let place = (least - FIRST_POWER + POWER_STEP - 1) / POWER_STEP;
    let power = FIRST_POWER + place * POWER_STEP;
    let significand = *POWERS.get(usize::try_from(place).ok()?)?;
    // 217706 / 2^16 is the logarithm of ten.
    Some((Binary { significand, exponent: ((power * 217_706) >> 16) - 63 }, power))
}

/// The number, and the middles between it and the next smaller and larger ones.
fn with_boundaries(number: f64) -> [Binary; 3] {
    let bits = number.to_bits() & !(1 << 63);
    let (stored, fraction) = ((bits >> (PRECISION - 1)) as i32, bits & ((1 << (PRECISION - 1)) - 1));
    let (significand, exponent) =
        if stored == 0 { (fraction, 1 - BIAS) } else { (fraction | 1 << (PRECISION - 1), stored - BIAS) };
    let above = Binary { significand: 2 * significand + 1, exponent: exponent - 1 }.normalized();
    let is_closer = fraction == 0 && stored > 1;
    let (below, below_exponent) =
        if is_closer { (4 * significand - 1, exponent - 2) } else { (2 * significand - 1, exponent - 1) };
    let below = Binary { significand: below << (below_exponent - above.exponent), exponent: above.exponent };
    [below, Binary { significand, exponent }.normalized(), above]
}

/// The digits of a number that is not zero, without its sign, and the power of ten of the last; `None` of what is not finite.
pub(super) fn digits(number: f64) -> Option<(String, i32)> {
    if !number.is_finite() || number == 0.0 {
        return None;
    }
    let [below, exact, above] = with_boundaries(number);
    let (scale, power) = power_for(above.exponent)?;
    let [below, exact, above] = [below, exact, above].map(|one| one.times(scale));
    let (least, most) = (below.significand + 1, above.significand - 1);
    let (digits, last) =
        Digits { written: Vec::new(), room: most - least, distance: most - exact.significand }
            .generate(most, above.exponent.unsigned_abs())?;
    Some((digits, last - power))
}

/// Digits that come nearer to a number from above.
struct Digits {
    written: Vec<u8>,
    /// How far below the largest number that is read back as this one the digits may end.
    room: u64,
    /// How far below it the number itself is.
    distance: u64,
}

impl Digits {
    /// Writes digits of `most`, whose last `point` binary digits are behind the point, until they are enough. Answers them and the power of ten of
    /// the last.
    fn generate(mut self, most: u64, point: u32) -> Option<(String, i32)> {
        let one = 1_u64 << point;
        let (mut whole, mut rest) = (most >> point, most & (one - 1));
        let mut left = i32::try_from(whole.checked_ilog10()?).ok()?;
        loop {
            let ten = 10_u64.checked_pow(u32::try_from(left).ok()?)?;
            self.write(whole / ten);
            whole %= ten;
            let behind = (whole << point) + rest;
            if behind <= self.room {
                return self.rounded(behind, ten << point, left);
            }
            if left == 0 {
                break;
            }
            left -= 1;
        }
        let mut last = 0;
        loop {
            rest *= 10;
            self.write(rest >> point);
            rest &= one - 1;
            last -= 1;
            (self.room, self.distance) = (self.room * 10, self.distance * 10);
            if rest <= self.room {
                return self.rounded(rest, one, last);
            }
        }
    }

    fn write(&mut self, digit: u64) {
        self.written.push(b'0' + digit as u8);
    }

    /// Makes the last digit less as long as that comes nearer: it is worth `unit`, and the digits are `behind` less than the most.
    fn rounded(mut self, mut behind: u64, unit: u64, last: i32) -> Option<(String, i32)> {
        let (room, distance) = (self.room, self.distance);
        let digit = self.written.last_mut()?;
        while behind < distance
            && room - behind >= unit
            && (behind + unit < distance || distance - behind > behind + unit - distance)
        {
            *digit -= 1;
            behind += unit;
        }
        Some((String::from_utf8(self.written).ok()?, last))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_shown_as_bigquery_has_shown_them() {
        // As its users have told: airbytehq/airbyte #29594, Zipstack/unstract #1589, brooklyn-data/dbt_artifacts #363.
        for (number, shown, last) in [
            (67.174118, "6717411800000001", -14),
            (22.770092, "22770092000000002", -15),
            (1_687_473_876.057356, "16874738760573561", -7),
            (0.1, "1", -1),
            (-0.1, "1", -1),
            (123_456.789, "123456789", -3),
            (1e23, "9999999999999999", 7),
            (5e-324, "5", -324),
            (f64::MAX, "17976931348623157", 292),
            (f64::MIN_POSITIVE, "22250738585072014", -324),
        ] {
            assert_eq!(digits(number), Some((shown.to_owned(), last)), "{number}");
        }
        assert_eq!([0.0, f64::NAN, f64::INFINITY].map(digits), [None, None, None]);
    }

    #[test]
    fn the_powers_of_ten_are_those_of_two_sources() {
        // The table of nlohmann's JSON, at its ends and where the powers are whole.
        let power = |place: i32| (POWERS[place as usize], FIRST_POWER + place * POWER_STEP);
        assert_eq!(power(0), (0xAB70_FE17_C79A_C6CA, -300));
        assert_eq!(power(37), (0xD1B7_1758_E219_652C, -4));
        assert_eq!(power(38), (10_000 << 50, 4));
        assert_eq!(power(78).1, 324);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back_as_the_same(number: f64) {
            prop_assume!(number.is_finite() && number != 0.0);
            let (digits, last) = digits(number).unwrap();
            prop_assert!(digits.len() <= 17, "{}", digits);
            prop_assert_eq!(format!("{digits}e{last}").parse(), Ok(number.abs()));
        }
    }
}
