//! An allocator that ends the process, as a fault that the fuzzer keeps, where more memory is used
//! than may be.

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::abort;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a run may use beside its file: 64 MiB.
const ALLOWED: usize = 64 << 20;

/// Bytes allocated now, by all threads.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// The most that may be.
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

struct Bounded;

#[global_allocator]
static BOUNDED: Bounded = Bounded;

fn take(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    if live > LIMIT.load(Relaxed) {
        LIMIT.store(usize::MAX, Relaxed); // the message needs memory too
        eprintln!("too much memory: {live} bytes, of them {bytes} at once");
        abort();
    }
}

// SAFETY: every call goes to the system's allocator as it came; the counters allocate nothing.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Runs with at most 64 MiB more than is allocated now, and `file` bytes where the file is read, not
/// mapped. Mapped bytes are not counted: they are the file's size at most.
pub fn bounded<T>(file: usize, run: impl FnOnce() -> T) -> T {
    LIMIT.store(LIVE.load(Relaxed) + file + ALLOWED, Relaxed);
    let result = run();
    LIMIT.store(usize::MAX, Relaxed);
    result
}
