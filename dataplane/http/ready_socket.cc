#include "dataplane/http/ready_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
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

error_code LastError() { return error_code(errno, boost::system::system_category()); }

// Of a SocketBatch's result; 0 without an error: it would have had to wait.
size_t Bytes(int result, error_code& error) {
  if (result >= 0) return static_cast<size_t>(result);
  if (result != -EAGAIN) error = error_code(-result, boost::system::system_category());
  return 0;
}

int NewEpoll() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) throw boost::system::system_error(LastError(), "epoll_create1");
  return epoll;
}

}  // namespace

// ---- All sockets of an io_context.

asio::execution_context::id Readiness::id;

Readiness::Readiness(asio::execution_context& context)
    : service(context),
      io_(static_cast<asio::io_context&>(context)),
      epoll_(io_, NewEpoll()),
      ahead_(new std::array<std::array<char, kAheadBytes>, kTogether>) {}

// Who waits goes with what it owns: often the socket itself, or another one.
void Readiness::shutdown() {
  gathered_.clear();
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
  std::replace(readers_.begin(), readers_.begin() + reader_count_, &socket, static_cast<ReadySocket*>(nullptr));
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
    const size_t together_end = std::min(next_ + kTogether, end_);
    ReadAhead({&batch_[next_], together_end - next_});
    while (next_ < together_end) {
      const epoll_event event = batch_[next_++];
      if (event.data.ptr != nullptr) static_cast<ReadySocket*>(event.data.ptr)->Tell(event.events);
    }
    WriteGathered();
    KeepUnread();
  }
  next_ = end_ = 0;
}

// For those who wait to read. A single one reads for itself, to where it wants it.
void Readiness::ReadAhead(std::span<const epoll_event> heard) {
  reader_count_ = 0;
  for (const epoll_event& event : heard) {
    if (event.data.ptr == nullptr) continue;
    ReadySocket& socket = *static_cast<ReadySocket*>(event.data.ptr);
    socket.Note(event.events);
    if (socket.readable_ && socket.read_waiter_.waiting()) readers_[reader_count_++] = &socket;
  }
  if (reader_count_ < 2) {
    reader_count_ = 0;
    return;
  }
  for (size_t i = 0; i < reader_count_; ++i) together_.Receive(readers_[i]->descriptor_, asio::buffer((*ahead_)[i]));
  const std::span<const int> results = together_.Run();
  for (size_t i = 0; i < reader_count_; ++i) readers_[i]->TakeAhead((*ahead_)[i], results[i]);
}

// Who is told may write again, and close others.
void Readiness::WriteGathered() {
  for (size_t begin = 0; begin < gathered_.size();) {
    const size_t end = std::min(begin + SocketBatch::kMax, gathered_.size());
    for (size_t i = begin; i < end; ++i) {
      if (gathered_[i].socket != nullptr) together_.Send(gathered_[i].socket->descriptor_, gathered_[i].pieces);
    }
    std::span<const int> results = together_.Run();
    for (size_t i = begin; i < end; ++i) {
      if (gathered_[i].socket == nullptr) continue;
      gathered_[i].result = results.front();
      results = results.subspan(1);
    }
    for (; begin < end; ++begin) {
      ReadySocket* const socket = std::exchange(gathered_[begin].socket, nullptr);
      if (socket != nullptr) socket->TellWritten(gathered_[begin].result, *gathered_[begin].written);
    }
  }
  gathered_.clear();
}

// What nobody asked for yet must not stand where the next ones are read to.
void Readiness::KeepUnread() {
  for (ReadySocket* const reader : std::span(readers_).first(reader_count_)) {
    if (reader != nullptr) reader->KeepAhead();
  }
  reader_count_ = 0;
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
  int result = ahead_;
  if (result > 0) {
    result = static_cast<int>(std::min<size_t>(static_cast<size_t>(result), buffer.size()));
    std::copy_n(ahead_data_, result, static_cast<char*>(buffer.data()));
    ahead_data_ += result;
    ahead_ -= result;
    if (ahead_ == 0) ahead_kept_.reset();
    return static_cast<size_t>(result);
  }
  if (result == 0) {
    result = ReceiveNow(descriptor_, buffer);
    NoteRead(result, buffer.size());
  }
  ahead_ = 0;
  if (result == 0 && buffer.size() > 0) error = asio::error::eof;
  return Bytes(result, error);
}

void ReadySocket::NoteRead(int result, size_t room) {
  // Less than there was room for: that was all, and more is heard of.
  if (result == -EAGAIN || (result < static_cast<int>(room) && !reads_fall_short_)) readable_ = false;
}

void ReadySocket::TakeAhead(std::span<char> memory, int result) {
  NoteRead(result, memory.size());
  if (result == -EAGAIN) return;
  ahead_ = result;
  ahead_data_ = memory.data();
}

void ReadySocket::KeepAhead() {
  if (ahead_ <= 0) return;
  std::unique_ptr<char[]> kept(new char[static_cast<size_t>(ahead_)]);
  std::copy_n(ahead_data_, ahead_, kept.get());
  ahead_data_ = kept.get();
  ahead_kept_ = std::move(kept);
}

size_t ReadySocket::TryWrite(std::span<const asio::const_buffer> pieces, error_code& error) {
  error = fault_;
  return error ? 0 : Bytes(SendNow(descriptor_, SocketPieces(pieces)), error);
}

bool ReadySocket::writes_gather() const { return readiness_ != nullptr && readiness_->end_ > 0; }

void ReadySocket::AwaitWritten(const SocketPieces& pieces, size_t& written, Waiter::Handler handler) {
  if (readiness_ == nullptr) return;
  if (fault_ || !writes_gather()) {
    error_code error = fault_;
    if (!error) written = Bytes(SendNow(descriptor_, pieces), error);
    return readiness_->EndSoon(std::move(handler), error);
  }
  gathered_ = true;
  readiness_->gathered_.push_back({this, pieces, &written});
  AwaitAt(write_waiter_, std::move(handler));
}

void ReadySocket::TellWritten(int result, size_t& written) {
  gathered_ = false;
  error_code error;
  written = Bytes(result, error);
  --readiness_->waiting_;
  write_waiter_.Wake(error);
}

// What was gathered of this socket is not written, unless it just was: then who wrote it is told how much.
void ReadySocket::WithdrawWrite() {
  if (!gathered_ || readiness_ == nullptr) return;
  gathered_ = false;
  for (Readiness::Write& write : readiness_->gathered_) {
    if (write.socket != this) continue;
    error_code ignored;
    *write.written = Bytes(write.result, ignored);
    write.socket = nullptr;
  }
}

void ReadySocket::AwaitReadable(Waiter::Handler handler) {
  if (readiness_ == nullptr) return;
  if (maybe_readable() || fault_) return readiness_->EndSoon(std::move(handler), fault_);
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

void ReadySocket::Note(uint32_t events) {
  // Behind what a read returns stands the end, or what follows urgent data, at whose mark a read stops.
  constexpr uint32_t kMoreBehind = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;
  reads_fall_short_ = reads_fall_short_ || (events & kMoreBehind) != 0;
  readable_ = readable_ || (events & (EPOLLIN | kMoreBehind)) != 0;
}

void ReadySocket::Tell(uint32_t events) {
  // Either may close or destroy this socket.
  Waiter::Handler writer, reader;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 && !gathered_) writer = write_waiter_.Take();
  if (maybe_readable()) reader = read_waiter_.Take();
  Readiness& readiness = *readiness_;
  readiness.waiting_ -= (writer ? 1 : 0) + (reader ? 1 : 0);
  if (writer) writer(error_code());
  if (reader) reader(error_code());
}

void ReadySocket::Cancel() {
  WithdrawWrite();
  EndWaitAt(read_waiter_, asio::error::operation_aborted);
  EndWaitAt(write_waiter_, asio::error::operation_aborted);
}

void ReadySocket::Close() {
  if (descriptor_ < 0) return;
  if (readiness_ != nullptr) readiness_->Forget(*this);
  ::close(std::exchange(descriptor_, -1));
  ahead_ = 0;
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
