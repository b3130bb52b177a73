// What jemalloc reads at the start of every program that allocates with it (MALLOC_CONF in the environment goes over
// it).
//
// A worker has dozens of requests in flight, whose pieces of one size come and go together: a thread's cache as small
// as the default is filled from the arena and flushed to it all the time, and trimmed every 64 KB besides, which was a
// third of what allocating costs. What the larger caches hold is under 10 MB a busy thread.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf =
    "tcache_nslots_small_min:100,tcache_nslots_small_max:1000,lg_tcache_nslots_mul:2,tcache_gc_incr_bytes:1048576";
}
