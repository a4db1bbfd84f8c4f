#include "tools/notp/doctor/reach.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>

#include "common/http/dial.hpp"
#include "common/limits.hpp"
#include "protocol/transport/endpoint.hpp"

namespace notp::cli::doctor {
namespace {

namespace asio = boost::asio;

constexpr TimeMs kConnectMs = 10'000;
// A refusal takes one round trip after the handshake.
constexpr TimeMs kRefusalMs = 700;
constexpr size_t kRefusalBytesMax = 4096;

// Runs the coroutine on this thread.
template <typename T>
Result<T> run(asio::io_context& io, asio::awaitable<Result<T>> body) {
  Result<T> out = fail(ErrorCode::kInternal, "the check was not made");
  asio::co_spawn(io, std::move(body), [&out](const std::exception_ptr& thrown, Result<T> result) {
    if (thrown) result = fail(ErrorCode::kInternal, "the check ended by an exception");
    out = std::move(result);
  });
  io.run();
  return out;
}

asio::awaitable<Result<void>> dial_only(HostPort at) {
  auto socket = co_await http::dial(std::move(at), {}, read_clock().boot_ms + kConnectMs);
  if (!socket) co_return std::unexpected(std::move(socket).error());
  co_return Result<void>();
}

asio::awaitable<Result<session::Identity>> handshake(
    std::string address, std::shared_ptr<const transport::TlsContext> context,
    std::optional<http::ProxyServer> proxy) {
  auto connection = co_await transport::connect(std::move(address), std::move(context), kConnectMs,
                                                std::move(proxy));
  if (!connection) co_return std::unexpected(std::move(connection).error());
  session::Identity peer = (*connection)->peer_identity();
  const auto message = co_await (*connection)->read_message(kRefusalBytesMax, kRefusalMs);
  (*connection)->abort();
  if (!message && message.error().code != ErrorCode::kTimeout)
    co_return std::unexpected(message.error());
  if (message)
    if (const auto* refusal = std::get_if<wire::ErrorMessage>(&*message))
      co_return fail(refusal->code, printable(refusal->message));
  co_return peer;
}

std::string_view code_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUnavailable:
      if (error.message.contains("cannot be resolved")) return "name_unresolved";
      return error.message.contains("refused") ? "port_closed" : "registry_unreachable";
    case ErrorCode::kCertificateExpired:
      return "tls_certificate_ended";
    case ErrorCode::kCertificateUntrusted:
      return "tls_untrusted";
    case ErrorCode::kTls:
    case ErrorCode::kNoCertificate:
    case ErrorCode::kVersion:
      return "tls_failed";
    case ErrorCode::kIdentity:
      return "registry_identity";
    case ErrorCode::kRevoked:
      return "revoked";
    case ErrorCode::kRollback:
      return "root_behind";
    case ErrorCode::kEnvelope:
    case ErrorCode::kSignature:
    case ErrorCode::kStatement:
    case ErrorCode::kWrongTarget:
    case ErrorCode::kEquivocation:
    case ErrorCode::kExpired:
    case ErrorCode::kRootInvalid:
      return "root_untrusted";
    case ErrorCode::kConfig:
      return "configuration";
    case ErrorCode::kTimeout:
    case ErrorCode::kOverloaded:
      return "registry_unreachable";
    default:
      return "registry_error";
  }
}

}  // namespace

void add_connection_error(const Error& error, const std::string& address, Diagnosis& diagnosis) {
  const std::string_view code = code_of(error);
  const auto at = HostPort::parse(address);
  diagnosis.add(code, code == "name_unresolved" && at ? at->host : address, error.message);
}

Result<void> reach(const std::string& address) {
  NOTP_ASSIGN(HostPort at, HostPort::parse(address));
  asio::io_context io{1};
  return run<void>(io, dial_only(std::move(at)));
}

Result<session::Identity> shake_hands(const std::string& address, const transport::TlsFiles& files,
                                      const http::ProxyRoute& route) {
  NOTP_ASSIGN(auto context, transport::TlsContext::load(files, transport::Side::kClient));
  asio::io_context io{1};
  return run<session::Identity>(io, handshake(address, std::move(context), route.proxy));
}

std::string address_from_here(const std::string& listen) {
  auto at = HostPort::parse(listen);
  if (!at) return listen;
  if (at->is_wildcard()) at->host = at->host.contains(':') ? "::1" : "127.0.0.1";
  return at->text();
}

}  // namespace notp::cli::doctor
