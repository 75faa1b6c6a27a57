//! The boot id of the kernel: after a reboot, data that was not synced may be gone.

/// The boot id of the running kernel; zeros if unknown.
pub(crate) fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut id = [0; 16];
    let digits = text.bytes().filter_map(|byte| char::from(byte).to_digit(16));
    for (index, digit) in digits.take(32).enumerate() {
        if let Some(byte) = id.get_mut(index / 2) {
            *byte = *byte << 4 | digit as u8;
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_id_is_read_on_linux() {
        assert_ne!(boot_id(), [0; 16]);
    }
}
