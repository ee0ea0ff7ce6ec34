//! Reading a file whose writer alternates between two areas and publishes by a version word
//! (docs/format.md §3.1): `_txn` and `_cv`.

use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;

/// How long a reader keeps trying. A writer publishes in microseconds; a record that does not settle
/// in this time is torn for good (a copied or damaged file).
const PATIENCE: Duration = Duration::from_millis(500);

/// Attempts without a pause before the reader starts to sleep.
const SPINS: u32 = 16;

/// Reads a record: `attempt` gets the version word and parses the area that it names. The result
/// counts only when the version word is still the same afterwards; an error that a writer at work can
/// explain is retried until `PATIENCE` is over, and then returned.
pub fn read<T>(source: &dyn Source, mut attempt: impl FnMut(u64) -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let mut tries = 0u32;
    let mut last_version = None;
    loop {
        let version = source.load_u64(0)?;
        let result = attempt(version);
        let settled = source.load_u64(0)? == version;
        match result {
            Ok(value) if settled => return Ok(value),
            // The same version twice with the same error: nobody is writing, the bytes are bad.
            Err(error) if settled && last_version == Some(version) && tries > SPINS => return Err(error),
            Err(error) if started.elapsed() > PATIENCE => return Err(error),
            Ok(_) if started.elapsed() > PATIENCE => {
                return Err(Error::new(ErrorKind::Conflict, "record keeps changing while it is read")
                    .hint("The server commits faster than the file can be read; run the query again.")
                    .in_file(source.path()))
            }
            _ => {}
        }
        last_version = Some(version);
        tries = tries.saturating_add(1);
        if tries > SPINS {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
