// Reads and writes of many sockets for one system call: by an io_uring where the kernel lets us have one (Linux 5.6,
// not forbidden by sysctl kernel.io_uring_disabled or a seccomp filter, as Docker's is), else by one call each. None of
// them waits. One thread.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <memory>
#include <span>

struct io_uring;

namespace signalbox {

namespace asio = boost::asio;

// What one message to a socket is made of, in the kernel's terms.
class SocketPieces {
 public:
  static constexpr size_t kMax = 4;

  // The first kMax of them, without the empty ones.
  explicit SocketPieces(std::span<const asio::const_buffer> pieces = {});
  std::span<iovec> parts() { return {parts_.data(), count_}; }

 private:
  std::array<iovec, kMax> parts_;
  size_t count_ = 0;
};

// One recv or sendmsg that does not wait: bytes, or -errno.
int ReceiveNow(int descriptor, asio::mutable_buffer buffer);
int SendNow(int descriptor, SocketPieces pieces);

class SocketBatch {
 public:
  static constexpr size_t kMax = 32;

  // `ring` false: one call each from the start.
  explicit SocketBatch(bool ring = true);
  ~SocketBatch();
  SocketBatch(const SocketBatch&) = delete;
  SocketBatch& operator=(const SocketBatch&) = delete;

  bool has_ring() const { return ring_ != nullptr; }  // after a Run of at least two

  // At most kMax until Run; memory and descriptors stay as they are until then.
  void Receive(int descriptor, asio::mutable_buffer buffer);
  void Send(int descriptor, const SocketPieces& pieces);
  size_t size() const { return size_; }
  // Does all of it. Results in the order of the calls: bytes, or -errno; valid until the next call.
  std::span<const int> Run();

 private:
  struct Work {
    int descriptor;
    bool sends;
    asio::mutable_buffer buffer;
    SocketPieces pieces;
    msghdr message;
  };

  void MakeRing();
  void DropRing();
  void RunInRing();

  bool wants_ring_;                 // and none was made yet
  std::unique_ptr<io_uring> ring_;  // null: there is none
  std::array<Work, kMax> work_;
  std::array<int, kMax> results_;
  size_t size_ = 0;
};

}  // namespace signalbox
