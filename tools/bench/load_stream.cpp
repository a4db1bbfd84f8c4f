#include "tools/bench/load_stream.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/algorithm/string/predicate.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace notp::bench {
namespace {

constexpr int kPatienceMs = 10'000;  // for a peer that does not read
constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kHeadBytesMax = 16 << 10;
constexpr std::string_view kHeadEnd = "\r\n\r\n";

std::unexpected<Error> unreachable(std::string_view what) {
  return fail(ErrorCode::kUnavailable, fmt::format("{}: {}", what, std::strerror(errno)));
}

std::unexpected<Error> tls_failed(std::string_view what) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  return fail(ErrorCode::kUnavailable, fmt::format("{}: {}", what, text));
}

Result<int> connected_socket(const sockaddr* address, socklen_t size) {
  const int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return unreachable("no socket");
  if (::connect(fd, address, size) == 0) return fd;
  const auto error = unreachable("the PDP does not listen");
  ::close(fd);
  return error;
}

Result<int> connect_unix(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path)
    return fail(ErrorCode::kUsage, "the path of a Unix socket is too long: " + path.string());
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  return connected_socket(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

Result<int> connect_tcp(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  NOTP_ASSIGN(const int fd,
              connected_socket(reinterpret_cast<const sockaddr*>(&address), sizeof address));
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// The value of a header field; empty when there is none.
std::string_view field_of(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at != head.npos; at = head.find("\r\n", at)) {
    at += 2;
    const std::string_view line = head.substr(at, head.find("\r\n", at) - at);
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    if (!boost::algorithm::iequals(line.substr(0, name.size()), name)) continue;
    const size_t value = line.find_first_not_of(' ', name.size() + 1);
    return value == line.npos ? std::string_view() : line.substr(value);
  }
  return {};
}

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number)
                                                                  : std::nullopt;
}

}  // namespace

Result<LoadTls> LoadTls::make(const std::filesystem::path& certificate,
                              const std::filesystem::path& key, const std::filesystem::path& ca) {
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!context || SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_load_verify_locations(context.get(), ca.c_str(), nullptr) != 1)
    return tls_failed("the client's TLS files cannot be used");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return LoadTls(context);
}

std::string PdpAddress::host() const {
  return socket.empty() ? fmt::format("127.0.0.1:{}", port) : "localhost";
}

LoadStream::LoadStream(LoadStream&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      ssl_(std::move(other.ssl_)),
      buffer_(std::move(other.buffer_)),
      answer_bytes_(std::exchange(other.answer_bytes_, 0)) {}

LoadStream& LoadStream::operator=(LoadStream&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(ssl_, other.ssl_);
  std::swap(buffer_, other.buffer_);
  std::swap(answer_bytes_, other.answer_bytes_);
  return *this;
}

LoadStream::~LoadStream() {
  ssl_.reset();
  if (fd_ >= 0) ::close(fd_);
}

Result<LoadStream> LoadStream::connect(const PdpAddress& address) {
  NOTP_ASSIGN(const int fd,
              address.socket.empty() ? connect_tcp(address.port) : connect_unix(address.socket));
  LoadStream stream(fd);
  if (address.tls) NOTP_TRY(stream.start_tls(*address.tls));
  if (::fcntl(fd, F_SETFL, O_NONBLOCK) != 0) return unreachable("a socket that blocks");
  return stream;
}

// Called while the socket still blocks.
Result<void> LoadStream::start_tls(const LoadTls& tls) {
  ERR_clear_error();
  ssl_.reset(SSL_new(tls.get()));
  if (!ssl_ || SSL_set_fd(ssl_.get(), fd_) != 1 || SSL_connect(ssl_.get()) != 1)
    return tls_failed("the PDP refuses the TLS handshake");
  return {};
}

Result<void> LoadStream::send(ByteView request) {
  while (!request.empty()) {
    ssize_t sent = 0;
    bool is_full = false;
    if (ssl_) {
      ERR_clear_error();
      sent = SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size()));
      is_full =
          sent <= 0 && SSL_get_error(ssl_.get(), static_cast<int>(sent)) == SSL_ERROR_WANT_WRITE;
    } else {
      sent = ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL);
      is_full = sent < 0 && (errno == EAGAIN || errno == EINTR);
    }
    if (sent > 0) {
      request.remove_prefix(static_cast<size_t>(sent));
      continue;
    }
    pollfd full{fd_, POLLOUT, 0};
    if (!is_full || ::poll(&full, 1, kPatienceMs) <= 0)
      return fail(ErrorCode::kUnavailable, "the PDP takes no question");
  }
  return {};
}

void LoadStream::abandon() const { ::shutdown(fd_, SHUT_RDWR); }

Result<size_t> LoadStream::read_some(char* into, size_t room) {
  const auto ended = [] { return fail(ErrorCode::kUnavailable, "the PDP ends the connection"); };
  if (ssl_) {
    ERR_clear_error();
    const int got = SSL_read(ssl_.get(), into, static_cast<int>(room));
    if (got > 0) return static_cast<size_t>(got);
    if (SSL_get_error(ssl_.get(), got) == SSL_ERROR_WANT_READ) return size_t{0};
    return ended();
  }
  const ssize_t got = ::recv(fd_, into, room, 0);
  if (got > 0) return static_cast<size_t>(got);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return size_t{0};
  return ended();
}

Result<std::optional<HttpAnswer>> LoadStream::receive() {
  buffer_.erase(0, std::exchange(answer_bytes_, 0));
  for (;;) {
    const size_t held = buffer_.size();
    size_t got = 0;
    Error error;
    bool has_failed = false;
    buffer_.resize_and_overwrite(held + kReadBytes, [&](char* bytes, size_t) {
      const auto read = read_some(bytes + held, kReadBytes);
      has_failed = !read;
      if (read) got = *read;
      if (!read) error = read.error();
      return held + got;
    });
    if (has_failed) return std::unexpected(std::move(error));
    if (got == 0) return std::nullopt;
    NOTP_ASSIGN(const auto answer, parse());
    if (answer) return answer;
  }
}

Result<std::optional<HttpAnswer>> LoadStream::parse() {
  const std::string_view all = buffer_;
  const size_t end = all.find(kHeadEnd);
  if (end == all.npos && all.size() < kHeadBytesMax) return std::nullopt;
  const std::string_view head = all.substr(0, end == all.npos ? 0 : end);
  const auto status = head.starts_with("HTTP/1.1 ") ? number_of<unsigned>(head.substr(9, 3))
                                                    : std::optional<unsigned>();
  const auto length = number_of<size_t>(field_of(head, "Content-Length"));
  if (!status || !length)
    return fail(ErrorCode::kUnavailable,
                fmt::format("no answer with a length: {}", all.substr(0, 200)));
  const size_t body = end + kHeadEnd.size();
  if (all.size() < body + *length) return std::nullopt;
  answer_bytes_ = body + *length;
  return HttpAnswer{*status, all.substr(body, *length),
                    boost::algorithm::iequals(field_of(head, "Connection"), "close")};
}

Result<HttpAnswer> LoadStream::ask(ByteView request, TimeMs patience_ms) {
  NOTP_TRY(send(request));
  const TimeMs deadline_ms = read_clock().boot_ms + patience_ms;
  for (;;) {
    NOTP_ASSIGN(const auto answer, receive());
    if (answer) return *answer;
    const TimeMs left_ms = deadline_ms - read_clock().boot_ms;
    pollfd waited{fd_, POLLIN, 0};
    if (left_ms <= 0) return fail(ErrorCode::kTimeout, "the PDP does not answer in time");
    ::poll(&waited, 1, static_cast<int>(left_ms));
  }
}

}  // namespace notp::bench
