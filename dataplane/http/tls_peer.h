// Who a TLS connection must turn out to lead to.
#pragma once

#include <openssl/ssl.h>

#include <string>

namespace signalbox {

// Before the handshake: the peer's certificate must name `host`, a name (then also sent as SNI) or an address without
// brackets. False when TLS cannot verify such a name.
bool ExpectTlsPeer(SSL* ssl, const std::string& host);

}  // namespace signalbox
