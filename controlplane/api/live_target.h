// Where a live run goes, and with what. A value.
#pragma once

#include <string>

namespace signalbox {

struct LiveTarget {
  std::string proxy_id;
  std::string address;  // host:port
  bool tls = false;
  std::string key;         // sbx_...
  std::string new_key_id;  // when the key was made just now; empty: it was there
};

}  // namespace signalbox
