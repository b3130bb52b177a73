#include "dataplane/http/ready_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <utility>

namespace signalbox {
namespace {

constexpr uint32_t kReadEvents = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET;
constexpr size_t kPiecesMax = 4;

error_code LastError() { return error_code(errno, boost::system::system_category()); }

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK; }

int NewEpoll() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) throw boost::system::system_error(LastError(), "epoll_create1");
  return epoll;
}

}  // namespace

// ---- All sockets of an io_context.

asio::execution_context::id Readiness::id;

Readiness::Readiness(asio::execution_context& context)
    : service(context), io_(static_cast<asio::io_context&>(context)), epoll_(io_, NewEpoll()) {}

// Who waits goes with what it owns: often the socket itself, or another one.
void Readiness::shutdown() {
  while (!sockets_.empty()) {
    ReadySocket& socket = sockets_.front();
    sockets_.pop_front();
    socket.readiness_ = nullptr;
    const Waiter::Handler reader = socket.read_waiter_.Take();
    const Waiter::Handler writer = socket.write_waiter_.Take();
  }
}

void Readiness::Watch(ReadySocket& socket, error_code& error) {
  epoll_event event{};
  event.events = kReadEvents | (socket.watches_write_ ? static_cast<uint32_t>(EPOLLOUT) : 0u);
  event.data.ptr = &socket;
  const int how = socket.is_linked() ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (::epoll_ctl(epoll_.native_handle(), how, socket.descriptor_, &event) != 0) {
    error = LastError();
  } else if (how == EPOLL_CTL_ADD) {
    sockets_.push_back(socket);
  }
}

// What was heard already is not delivered any more. Closing alone would not end the registration where a child process
// holds the connection too.
void Readiness::Forget(ReadySocket& socket) {
  if (!socket.is_linked()) return;
  ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, socket.descriptor_, nullptr);
  socket.unlink();
  for (size_t i = next_; i < end_; ++i) {
    if (batch_[i].data.ptr == &socket) batch_[i].data.ptr = nullptr;
  }
}

void Readiness::BeginWait() {
  ++waiting_;
  Arm();
}

void Readiness::EndWait() {
  if (--waiting_ > 0 || !armed_) return;
  error_code ignored;
  epoll_.cancel(ignored);
}

void Readiness::EndSoon(Waiter::Handler handler, error_code error) {
  asio::post(io_, [handler = std::move(handler), error]() mutable { handler(error); });
}

void Readiness::Arm() {
  if (armed_ || waiting_ == 0 || end_ > 0) return;  // end_: Deliver arms when it is through
  armed_ = true;
  epoll_.async_wait(asio::posix::descriptor_base::wait_read, [this](const error_code& error) {
    armed_ = false;
    if (!error) Deliver();
    Arm();
    if (!armed_) ++lapses_;
  });
}

void Readiness::Deliver() {
  const int heard = ::epoll_wait(epoll_.native_handle(), batch_.data(), kBatch, 0);
  next_ = 0;
  end_ = static_cast<size_t>(std::max(heard, 0));
  while (next_ < end_) {
    const epoll_event event = batch_[next_++];
    if (event.data.ptr != nullptr) static_cast<ReadySocket*>(event.data.ptr)->OnEvents(event.events);
  }
  next_ = end_ = 0;
}

// ---- One socket.

ReadySocket::ReadySocket(asio::ip::tcp::socket socket)
    : readiness_(&asio::use_service<Readiness>(asio::query(socket.get_executor(), asio::execution::context))) {
  error_code ignored;  // a peer that is gone already is found by the first read
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.native_non_blocking(true, ignored);
  descriptor_ = socket.release(fault_);
  if (!fault_) readiness_->Watch(*this, fault_);
}

uint64_t ReadySocket::listening() const {
  const bool listens = readiness_ != nullptr && (readiness_->armed_ || readiness_->end_ > 0);
  return listens ? readiness_->lapses_ + 1 : 0;
}

size_t ReadySocket::TryRead(asio::mutable_buffer buffer, error_code& error) {
  error = fault_;
  if (error) return 0;
  const ssize_t n = TEMP_FAILURE_RETRY(::recv(descriptor_, buffer.data(), buffer.size(), 0));
  const bool nothing = n < 0 && WouldBlock();
  // Less than there was room for: that was all, and more is heard of.
  if (nothing || (n < static_cast<ssize_t>(buffer.size()) && !reads_fall_short_)) readable_ = false;
  if (n > 0) return static_cast<size_t>(n);
  if (n == 0) {
    if (buffer.size() > 0) error = asio::error::eof;
  } else if (!nothing) {
    error = LastError();
  }
  return 0;
}

size_t ReadySocket::TryWrite(std::span<const asio::const_buffer> pieces, error_code& error) {
  error = fault_;
  if (error) return 0;
  std::array<iovec, kPiecesMax> parts;
  msghdr message{};
  message.msg_iov = parts.data();
  for (const asio::const_buffer& piece : pieces.first(std::min(pieces.size(), kPiecesMax))) {
    if (piece.size() > 0) parts[message.msg_iovlen++] = {const_cast<void*>(piece.data()), piece.size()};
  }
  const ssize_t n = TEMP_FAILURE_RETRY(::sendmsg(descriptor_, &message, MSG_NOSIGNAL));
  if (n >= 0) return static_cast<size_t>(n);
  if (!WouldBlock()) error = LastError();
  return 0;
}

void ReadySocket::AwaitReadable(Waiter::Handler handler) {
  if (readiness_ == nullptr) return;
  if (readable_ || fault_) return readiness_->EndSoon(std::move(handler), fault_);
  AwaitAt(read_waiter_, std::move(handler));
}

void ReadySocket::AwaitWritable(Waiter::Handler handler) {
  if (readiness_ == nullptr) return;
  // Registered with it, and each time again: it may have become writable since it was tried.
  watches_write_ = true;
  if (!fault_) readiness_->Watch(*this, fault_);
  if (fault_) return readiness_->EndSoon(std::move(handler), fault_);
  AwaitAt(write_waiter_, std::move(handler));
}

void ReadySocket::AwaitAt(Waiter& waiter, Waiter::Handler handler) {
  waiter.Await(std::move(handler));
  readiness_->BeginWait();
}

void ReadySocket::EndWaitAt(Waiter& waiter, error_code error) {
  if (!waiter.waiting() || readiness_ == nullptr) return;
  readiness_->EndSoon(waiter.Take(), error);
  readiness_->EndWait();
}

void ReadySocket::OnEvents(uint32_t events) {
  // Behind what a read returns stands the end, or what follows urgent data, at whose mark a read stops.
  constexpr uint32_t kMoreBehind = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;
  reads_fall_short_ = reads_fall_short_ || (events & kMoreBehind) != 0;
  readable_ = readable_ || (events & (EPOLLIN | kMoreBehind)) != 0;
  // Either may close or destroy this socket.
  Waiter::Handler writer, reader;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writer = write_waiter_.Take();
  if (readable_) reader = read_waiter_.Take();
  Readiness& readiness = *readiness_;
  readiness.waiting_ -= (writer ? 1 : 0) + (reader ? 1 : 0);
  if (writer) writer(error_code());
  if (reader) reader(error_code());
}

void ReadySocket::Cancel() {
  EndWaitAt(read_waiter_, asio::error::operation_aborted);
  EndWaitAt(write_waiter_, asio::error::operation_aborted);
}

void ReadySocket::Close() {
  if (descriptor_ < 0) return;
  if (readiness_ != nullptr) readiness_->Forget(*this);
  ::close(std::exchange(descriptor_, -1));
  fault_ = asio::error::bad_descriptor;
  Cancel();
}

void ReadySocket::Reset() {
  constexpr linger kAtOnce{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &kAtOnce, sizeof kAtOnce);
  Close();
}

void ReadySocket::ShutdownSend() { ::shutdown(descriptor_, SHUT_WR); }

}  // namespace signalbox
