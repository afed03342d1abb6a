// Package faults makes system calls of a running process fail, so that tests see what real code, bbolt included, makes of a
// failing disk. Nothing that ships imports it.
//
// The calls are those that change a file or make it durable: write, pwrite64, sendfile, copy_file_range, ftruncate,
// fallocate, fsync, fdatasync, openat and openat2 that create or truncate, renameat, renameat2, linkat, unlinkat, mkdirat.
// Reading and closing never fail.
//
// How: the kernel asks a thread of the process itself, by seccomp's user notification, what shall become of each such call.
// What it answers, code sees as the answer of the disk. A filter stays for the life of its process and is inherited by what
// it starts; so a test runs itself once more, as a child, and makes trouble there:
//
//	func TestCommitsSurviveABadDisk(t *testing.T) {
//		if !faults.InChild() {
//			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
//			defer cancel()
//			out, err := faults.Run(faults.Child(ctx, t.Name()))
//			if errors.Is(err, faults.ErrRefused) {
//				t.Skip(err)
//			}
//			if err != nil {
//				t.Fatalf("%v\n%s", err, out)
//			}
//			return
//		}
//		defer faults.Inject("", nil) // before the folders of the test are removed
//		for n, failed := 1, true; failed; n++ {
//			dir := t.TempDir()
//			faults.GiveUp(faults.Inject(dir, faults.Nth(n, faults.Fault{Errno: syscall.EIO})))
//			// … work in dir: it must fail well …
//			faults.GiveUp(faults.Inject("", nil))
//			// … look at what it left …
//			failed = len(faults.Seen()) >= n
//		}
//	}
//
// Linux 5.19 or newer, on amd64 and arm64.
package faults
