// What cannot be reached from another machine. Pure.
#pragma once

#include <string_view>

namespace signalbox {

// Host names other than localhost count as not: they may lead anywhere.
bool IsLoopbackHost(std::string_view host);
bool IsLoopback(std::string_view address);  // host:port, an IPv6 host in brackets

}  // namespace signalbox
