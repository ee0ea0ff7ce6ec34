//! Memory mappings that survive a shrinking file. One of the two places with `unsafe` code.
//!
//! A server may cut a file while we have it mapped (docs/format.md §11); touching a page beyond the new
//! end raises SIGBUS, which would kill DuckDB's process. As libwayland does for shared buffers,
//! a handler covers exactly the copies made here: when the fault lies in the mapping that the current
//! thread is copying from, it puts zero pages over the lost part and notes the loss, the copy
//! ends normally, and the caller gets an error instead of the bytes. Any other SIGBUS goes to the
//! handler that was there before.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::OnceLock;

use super::{out_of_bounds, Source};
use crate::error::{Error, ErrorKind, Result};

/// The first bytes of a file, mapped read-only and shared, so later writes of the server show.
#[derive(Debug)]
pub(super) struct Mapping {
    start: *mut libc::c_void,
    len: usize,
    path: PathBuf,
    /// Set when the file lost bytes under the mapping: zeros may stand where data stood.
    shrank: AtomicBool,
}

// SAFETY: the mapping is read-only memory owned by this value; all access copies out of it.
unsafe impl Send for Mapping {}
// SAFETY: as above; concurrent copies out of read-only memory do not conflict.
unsafe impl Sync for Mapping {}

/// The mapping that this thread is copying from, for the signal handler.
#[derive(Clone, Copy)]
struct Guarded {
    start: usize,
    len: usize,
    faulted: bool,
}

thread_local! {
    static GUARDED: Cell<Guarded> = const { Cell::new(Guarded { start: 0, len: 0, faulted: false }) };
}

impl Mapping {
    /// Maps the first `len` bytes of `file`, which has at least as many.
    pub(super) fn new(file: &File, len: u64, path: &Path) -> Result<Self> {
        install_handler().map_err(|e| Error::io(&e, path))?;
        let size = usize::try_from(len)
            .map_err(|_| Error::unsupported("file does not fit the address space").in_file(path))?;
        if size == 0 {
            return Ok(Self {
                start: ptr::null_mut(),
                len: 0,
                path: path.to_owned(),
                shrank: AtomicBool::new(false),
            });
        }
        // SAFETY: a fresh read-only mapping of a file that we hold open; the result is checked.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), size, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(Error::io(&io::Error::last_os_error(), path));
        }
        Ok(Self { start, len: size, path: path.to_owned(), shrank: AtomicBool::new(false) })
    }

    /// Runs `copy` on the mapping's first byte with faults guarded; `copy` must stay in bounds.
    fn guarded<R>(&self, copy: impl FnOnce(*const u8) -> R) -> Result<R> {
        GUARDED.set(Guarded { start: self.start as usize, len: self.len, faulted: false });
        let result = copy(self.start.cast());
        // The compiler must not move the copy behind the end of the guard.
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        let faulted = GUARDED.replace(Guarded { start: 0, len: 0, faulted: false }).faulted;
        if faulted {
            self.shrank.store(true, Ordering::Release);
        }
        if self.shrank.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Conflict, "file shrank while it was read")
                .hint("The table changed under the query; run it again.")
                .in_file(&self.path));
        }
        Ok(result)
    }

    fn check(&self, offset: u64, bytes: usize) -> Result<usize> {
        usize::try_from(offset)
            .ok()
            .filter(|start| start.checked_add(bytes).is_some_and(|end| end <= self.len))
            .ok_or_else(|| out_of_bounds(&self.path, offset, bytes, self.len as u64))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: `start` and `len` are those of the mapping made in `new`, and nobody borrows it.
            unsafe { libc::munmap(self.start, self.len) };
        }
    }
}

impl Source for Mapping {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        let start = self.check(offset, dst.len())?;
        if dst.is_empty() {
            return Ok(());
        }
        // SAFETY: `check` proved that the range lies in the mapping; `dst` is private memory. A racing
        // write of the server can only make the copied bytes stale, which validation finds.
        self.guarded(|base| unsafe { ptr::copy_nonoverlapping(base.add(start), dst.as_mut_ptr(), dst.len()) })
    }

    fn gather(&self, base: u64, width: usize, rows: &[u32], dst: &mut [u8]) -> Result<()> {
        let Some(last) = rows.iter().max() else { return Ok(()) };
        let last_offset = u64::from(*last).saturating_mul(width as u64).saturating_add(base);
        self.check(last_offset, width)?;
        let first = self.check(base, 0)?;
        let slots = dst.chunks_exact_mut(width).zip(rows);
        self.guarded(|start| match width {
            // SAFETY: the largest row was checked against the mapping, `W` is `width`, and
            // `chunks_exact_mut` gives slots of `width` bytes.
            1 => unsafe { gather_values::<1>(start.add(first), slots) },
            // SAFETY: as above.
            2 => unsafe { gather_values::<2>(start.add(first), slots) },
            // SAFETY: as above.
            4 => unsafe { gather_values::<4>(start.add(first), slots) },
            // SAFETY: as above.
            8 => unsafe { gather_values::<8>(start.add(first), slots) },
            _ => {
                for (slot, row) in slots {
                    // SAFETY: as above.
                    unsafe {
                        ptr::copy_nonoverlapping(
                            start.add(first + *row as usize * width),
                            slot.as_mut_ptr(),
                            width,
                        )
                    };
                }
            }
        })
    }

    fn load_u64(&self, offset: u64) -> Result<u64> {
        let start = self.check(offset, 8)?;
        if start % 8 != 0 {
            return Err(out_of_bounds(&self.path, offset, 8, self.len as u64).expected("an aligned word"));
        }
        std::sync::atomic::fence(Ordering::Acquire);
        // SAFETY: in bounds and aligned (mappings start at a page); atomics may alias foreign writes.
        self.guarded(|base| unsafe { (*base.add(start).cast::<AtomicU64>()).load(Ordering::Acquire) })
            .map(u64::from_le)
    }
}

/// # Safety
/// `base + row · W` must be readable for `W` bytes for every row, and each slot `W` bytes long.
unsafe fn gather_values<'a, const W: usize>(
    base: *const u8,
    slots: impl Iterator<Item = (&'a mut [u8], &'a u32)>,
) {
    for (slot, row) in slots {
        // SAFETY: promised by the caller; `[u8; W]` has no alignment.
        unsafe { *slot.as_mut_ptr().cast::<[u8; W]>() = *base.add(*row as usize * W).cast::<[u8; W]>() };
    }
}

/// What handled SIGBUS before us.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

/// Installs the handler once per process.
fn install_handler() -> io::Result<()> {
    static INSTALLED: OnceLock<std::result::Result<(), i32>> = OnceLock::new();
    INSTALLED
        .get_or_init(|| {
            // SAFETY: zeroed is a valid `sigaction`; the handler is async-signal-safe (below), and the
            // previous action is stored before ours can run for a mapping, as none exists yet.
            unsafe {
                let mut old = MaybeUninit::<libc::sigaction>::zeroed();
                if libc::sigaction(libc::SIGBUS, ptr::null(), old.as_mut_ptr()) != 0 {
                    return Err(io::Error::last_os_error().raw_os_error().unwrap_or(0));
                }
                let _ = PREVIOUS.set(old.assume_init());
                let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
                action.sa_sigaction = on_sigbus as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&mut action.sa_mask);
                if libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()) != 0 {
                    return Err(io::Error::last_os_error().raw_os_error().unwrap_or(0));
                }
                Ok(())
            }
        })
        .map_err(io::Error::from_raw_os_error)
}

/// Covers a fault inside the guarded mapping with zero pages; passes every other fault on.
extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t` to an `SA_SIGINFO` handler.
    let address = unsafe { (*info).si_addr() } as usize;
    let guarded = GUARDED.get();
    if address.wrapping_sub(guarded.start) < guarded.len {
        // SAFETY: plain queries and calls, async-signal-safe. The range from the faulting page to the
        // mapping's end lies inside our own mapping, so MAP_FIXED replaces nothing else.
        unsafe {
            let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
            let from = address & !(page - 1);
            let size = guarded.start + guarded.len - from;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            if libc::mmap(from as *mut libc::c_void, size, libc::PROT_READ, flags, -1, 0) != libc::MAP_FAILED
            {
                GUARDED.set(Guarded { faulted: true, ..guarded });
                return;
            }
        }
    }
    // SAFETY: hands the signal to the previous owner, or to the default action by returning into the
    // same fault with that action restored.
    unsafe {
        match PREVIOUS.get() {
            Some(old) if old.sa_sigaction != libc::SIG_DFL && old.sa_sigaction != libc::SIG_IGN => {
                if old.sa_flags & libc::SA_SIGINFO != 0 {
                    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                        std::mem::transmute(old.sa_sigaction);
                    handler(signal, info, context);
                } else {
                    let handler: extern "C" fn(libc::c_int) = std::mem::transmute(old.sa_sigaction);
                    handler(signal);
                }
            }
            _ => {
                libc::signal(libc::SIGBUS, libc::SIG_DFL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(bytes: usize) -> (PathBuf, File) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("questdb-mapping-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, vec![7u8; bytes]).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        (path, file)
    }

    #[test]
    fn file_that_shrinks_under_the_mapping_is_an_error_not_a_signal() {
        let (path, file) = file_of(1 << 20);
        let mapping = Mapping::new(&file, 1 << 20, &path).unwrap();
        let mut bytes = vec![0; 1 << 20];
        mapping.read_into(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|b| *b == 7));
        file.set_len(8192).unwrap();
        let error = mapping.read_into(0, &mut bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(
            mapping.gather(0, 8, &[0, 70_000], &mut [0; 16]).is_err(),
            "a mapping that lost bytes stays lost"
        );
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn reads_outside_the_mapped_bytes_are_refused() {
        let (path, file) = file_of(100);
        let mapping = Mapping::new(&file, 64, &path).unwrap();
        assert!(mapping.read_into(60, &mut [0; 8]).is_err());
        assert!(mapping.read_into(u64::MAX, &mut [0; 8]).is_err());
        assert!(mapping.gather(0, 8, &[8], &mut [0; 8]).is_err());
        assert!(mapping.load_u64(60).is_err());
        assert_eq!(mapping.load_u64(8).unwrap(), 0x0707_0707_0707_0707);
        std::fs::remove_file(path).unwrap();
    }
}
