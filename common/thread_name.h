// What a thread is called in top, perf and a debugger: at most 15 characters.
#pragma once

#include <pthread.h>

namespace signalbox {

inline void NameThread(const char* name) { pthread_setname_np(pthread_self(), name); }

}  // namespace signalbox
