#include "dataplane/http/socket_batch.h"

#include <glog/logging.h>
#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace signalbox {
namespace {

constexpr int kNotDone = INT32_MIN;

bool DoesSockets(io_uring& ring) {
  const std::unique_ptr<io_uring_probe, decltype(&io_uring_free_probe)> probe(io_uring_get_probe_ring(&ring),
                                                                              &io_uring_free_probe);
  return probe != nullptr && io_uring_opcode_supported(probe.get(), IORING_OP_RECV) != 0 &&
         io_uring_opcode_supported(probe.get(), IORING_OP_SEND) != 0 &&
         io_uring_opcode_supported(probe.get(), IORING_OP_SENDMSG) != 0;
}

}  // namespace

SocketPieces::SocketPieces(std::span<const asio::const_buffer> pieces) {
  for (const asio::const_buffer& piece : pieces.first(std::min(pieces.size(), kMax))) {
    if (piece.size() > 0) parts_[count_++] = {const_cast<void*>(piece.data()), piece.size()};
  }
}

int ReceiveNow(int descriptor, asio::mutable_buffer buffer) {
  const ssize_t n = TEMP_FAILURE_RETRY(::recv(descriptor, buffer.data(), buffer.size(), MSG_DONTWAIT));
  return n < 0 ? -errno : static_cast<int>(n);
}

int SendNow(int descriptor, SocketPieces pieces) {
  msghdr message{};
  message.msg_iov = pieces.parts().data();
  message.msg_iovlen = pieces.parts().size();
  const ssize_t n = TEMP_FAILURE_RETRY(::sendmsg(descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
  return n < 0 ? -errno : static_cast<int>(n);
}

SocketBatch::SocketBatch(bool ring) : wants_ring_(ring) {}

SocketBatch::~SocketBatch() { DropRing(); }

// By the thread that uses it: when a ring goes, the kernel interrupts what the one that made it waits for.
void SocketBatch::MakeRing() {
  wants_ring_ = false;
  auto ring = std::make_unique<io_uring>();
  if (const int error = io_uring_queue_init(kMax, ring.get(), 0); error != 0) {
    LOG(INFO) << "no io_uring (" << std::strerror(-error) << "): sockets are read and written by one system call each";
    return;
  }
  ring_ = std::move(ring);
  if (DoesSockets(*ring_)) return;
  LOG(INFO) << "this kernel's io_uring does not do sockets: they are read and written by one system call each";
  DropRing();
}

void SocketBatch::DropRing() {
  if (ring_) io_uring_queue_exit(ring_.get());
  ring_.reset();
}

void SocketBatch::Receive(int descriptor, asio::mutable_buffer buffer) {
  Work& work = work_[size_++];
  work.descriptor = descriptor;
  work.sends = false;
  work.buffer = buffer;
}

void SocketBatch::Send(int descriptor, const SocketPieces& pieces) {
  Work& work = work_[size_++];
  work.descriptor = descriptor;
  work.sends = true;
  work.pieces = pieces;
}

std::span<const int> SocketBatch::Run() {
  std::fill_n(results_.begin(), size_, kNotDone);
  if (size_ > 1 && wants_ring_) MakeRing();
  if (size_ > 1 && ring_) RunInRing();
  for (size_t i = 0; i < size_; ++i) {
    if (results_[i] != kNotDone) continue;
    const Work& work = work_[i];
    results_[i] = work.sends ? SendNow(work.descriptor, work.pieces) : ReceiveNow(work.descriptor, work.buffer);
  }
  return {results_.data(), std::exchange(size_, 0)};
}

// MSG_DONTWAIT: the kernel is through with each of them when it has taken them all. What it does not take is not done.
void SocketBatch::RunInRing() {
  for (size_t i = 0; i < size_; ++i) {
    Work& work = work_[i];
    io_uring_sqe* const entry = io_uring_get_sqe(ring_.get());
    const std::span<iovec> parts = work.pieces.parts();
    if (!work.sends) {
      io_uring_prep_recv(entry, work.descriptor, work.buffer.data(), work.buffer.size(), MSG_DONTWAIT);
    } else if (parts.size() == 1) {
      io_uring_prep_send(entry, work.descriptor, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
      work.message = {};
      work.message.msg_iov = parts.data();
      work.message.msg_iovlen = parts.size();
      io_uring_prep_sendmsg(entry, work.descriptor, &work.message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    io_uring_sqe_set_data64(entry, i);
  }
  const int taken = io_uring_submit_and_wait(ring_.get(), static_cast<unsigned>(size_));
  for (int left = taken; left > 0;) {
    io_uring_cqe* done = nullptr;
    const int error = io_uring_wait_cqe(ring_.get(), &done);
    if (error == -EINTR) continue;
    // Whether a request left decides what is billed: better to end than to guess.
    if (error != 0) LOG(FATAL) << "io_uring does not tell what became of a write: " << std::strerror(-error);
    results_[io_uring_cqe_get_data64(done)] = done->res;
    io_uring_cqe_seen(ring_.get(), done);
    --left;
  }
  if (taken == static_cast<int>(size_)) return;
  LOG(WARNING) << "io_uring took " << taken << " of " << size_ << " entries: it is not used any more";
  DropRing();
}

}  // namespace signalbox
