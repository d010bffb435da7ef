//! Amounts of memory as people write them.

use super::*;

fn memory(raw: impl Into<Raw>) -> Result<Value, String> {
    check("max_worker_memory", raw)
}

#[test]
fn bytes_with_and_without_a_suffix() {
    let cases = [
        ("300000000", 300_000_000),
        ("300M", 300 << 20),
        ("300m", 300 << 20),
        ("300 MB", 300 << 20),
        ("300MiB", 300 << 20),
        ("300Mi", 300 << 20),
        ("1.5G", 3 << 29),
        ("2048K", 2 << 20),
        ("0.5T", 1 << 39),
        (" 1G ", 1 << 30),
        ("0", 0),
        ("1_000_000_000", 1_000_000_000),
    ];
    for (text, bytes) in cases {
        assert_eq!(memory(text), Ok(Value::Int(bytes)), "{text}");
    }
    assert_eq!(memory(Raw::Int(1 << 30)), Ok(Value::Int(1 << 30)));
    assert_eq!(memory(Raw::None), Ok(Value::None));
}

#[test]
fn a_part_stays_one() {
    for text in ["20%", "100%", "0.5%", " 20% "] {
        assert_eq!(memory(text), Ok(Value::Text(text.trim().into())));
    }
    assert_eq!(part_of("20%", 1000), Some(200));
    assert_eq!(part_of("12.5 %", 1000), Some(125));
}

#[test]
fn what_is_no_amount_is_refused_with_an_example() {
    for text in ["", "many", "300X", "M", "-1M", "1e9", "1,5G", "inf", "nan", "1.2.3G", "1.5"] {
        let refusal = memory(text).unwrap_err();
        let expected =
            format!("Not an amount of memory: '{text}' (bytes, or such as '300M', '1.5G' or '20%')");
        assert_eq!(refusal, expected);
    }
    for text in ["0%", "101%", "%", "-5%", "x%"] {
        let expected = format!("Not a part of the memory there is: '{text}' (above 0%, at most 100%)");
        assert_eq!(memory(text), Err(expected));
    }
    assert_eq!(memory(Raw::Int(-1)), Err("Value must be positive: -1".into()));
    let small = "300 bytes are less than any worker needs: is '300M' meant?";
    assert_eq!(memory("300"), Err(small.into()));
    assert!(memory(Raw::List(Vec::new())).is_err());
}
