// Package victim implements a process that maps memory, accesses it, and reports
// what the kernel delivered: every siginfo_t in full, every errno. It owns the raw
// signal handler (assembly, because the Go runtime's own does not expose
// si_addr_lsb) and the fixed addresses of mappings. It serves the operations of
// guest/wire that belong to a victim. It knows neither the agent nor the host.
//
// A victim runs on the process's main thread, because memory_failure() signals
// the leader of a thread group (mm/memory-failure.c:task_early_kill): the
// program's main package locks it there in an init function.
package victim
