#include "common/http/listener.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>

namespace notp::http {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr int kBacklog = 4096;  // the kernel caps it

std::string text_of(const asio::ip::address& address, uint16_t port) {
  return address.is_v6() ? fmt::format("[{}]:{}", address.to_string(), port)
                         : fmt::format("{}:{}", address.to_string(), port);
}

std::string reason(int number) { return std::generic_category().message(number); }

// The common ground of plain HTTP and TLS.
struct TcpAddress {
  std::string numeric;
  uint16_t port = 0;
  bool beyond_loopback = true;
  Transport transport = Transport::kTls;
};

TcpAddress address_of(const TcpEndpoint& plain) {
  return {plain.address, plain.port, plain.beyond_loopback, Transport::kTcp};
}

TcpAddress address_of(const TlsEndpoint& tls) { return {.numeric = tls.address, .port = tls.port}; }

Result<asio::ip::address> parse(const TcpAddress& at) {
  error_code error;
  const auto address = asio::ip::make_address(at.numeric, error);
  if (error)
    return fail(ErrorCode::kConfig,
                fmt::format("{} is not an IP address to listen on", at.numeric));
  if (!address.is_loopback() && !at.beyond_loopback)
    return fail(ErrorCode::kConfig,
                fmt::format("{} is not a loopback address; plain HTTP has no identities, so it "
                            "stays on this machine",
                            at.numeric));
  return address;
}

Result<Listener> listen_tcp(const asio::any_io_executor& executor, const TcpAddress& at) {
  NOTP_ASSIGN(const asio::ip::address address, parse(at));
  error_code error;
  const uint16_t port = at.port;
  const tcp::endpoint endpoint(address, port);
  Listener out{Acceptor(executor), at.transport, {}, 0, address.is_loopback(), {}, 0, 0};
  out.acceptor.open(endpoint.protocol(), error);
  if (!error) out.acceptor.set_option(Acceptor::reuse_address(true), error);
  if (!error) out.acceptor.bind(endpoint, error);
  if (!error) out.acceptor.listen(kBacklog, error);
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot listen on {}: {}", text_of(address, port), error.message()));
  const auto bound = out.acceptor.local_endpoint(error);
  sockaddr_storage name{};
  std::memcpy(&name, bound.data(), std::min(bound.size(), sizeof name));
  out.port = ntohs(address.is_v6() ? reinterpret_cast<sockaddr_in6&>(name).sin6_port
                                   : reinterpret_cast<sockaddr_in&>(name).sin_port);
  out.address = text_of(address, out.port);
  return out;
}

// The file may be replaced when it has no listener any more.
Result<void> check_free(const std::filesystem::path& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode))
    return fail(ErrorCode::kConfig, fmt::format("{} exists and is no socket", path.string()));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.string().copy(name.sun_path, sizeof name.sun_path - 1);
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return fail(ErrorCode::kIo, reason(errno));
  const int outcome = ::connect(probe, reinterpret_cast<sockaddr*>(&name), sizeof name);
  const int why = outcome == 0 ? 0 : errno;
  ::close(probe);
  if (why == ECONNREFUSED || why == ENOENT) return {};
  return fail(ErrorCode::kIo, why == 0 || why == EAGAIN
                                  ? fmt::format("another server listens on {}", path.string())
                                  : fmt::format("whether a server listens on {} cannot be seen: {}",
                                                path.string(), reason(why)));
}

Result<gid_t> group_of(const std::string& group) {
  gid_t number = 0;
  const auto [end, bad] = std::from_chars(group.data(), group.data() + group.size(), number);
  if (bad == std::errc() && end == group.data() + group.size()) return number;
  constexpr size_t kEntryBytes = 64 << 10;
  std::vector<char> buffer(kEntryBytes);
  ::group entry{}, *found = nullptr;
  ::getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr)
    return fail(ErrorCode::kConfig, fmt::format("there is no group '{}'", group));
  return found->gr_gid;
}

Result<void> set_access(const std::filesystem::path& file, const UnixEndpoint& endpoint) {
  if (!endpoint.group.empty()) {
    NOTP_ASSIGN(const gid_t group, group_of(endpoint.group));
    if (::chown(file.c_str(), static_cast<uid_t>(-1), group) != 0)
      return fail(ErrorCode::kConfig,
                  fmt::format("{} cannot be given to the group '{}': {}. This process must be in "
                              "the group and be allowed to call chown; or let a socket unit make "
                              "the socket",
                              endpoint.path.string(), endpoint.group, reason(errno)));
  }
  if (::chmod(file.c_str(), endpoint.mode) != 0)
    return fail(ErrorCode::kIo, fmt::format("{}: {}", endpoint.path.string(), reason(errno)));
  return {};
}

// Connections are impossible before mode and group are set: until then the socket is in a folder
// that only this user can enter.
Result<Listener> listen_unix(const asio::any_io_executor& executor, const UnixEndpoint& endpoint) {
  const std::string path = endpoint.path.string();
  if (!endpoint.path.is_absolute())
    return fail(ErrorCode::kConfig, fmt::format("'{}' is not an absolute path", path));
  NOTP_TRY(check_free(endpoint.path));
  std::string folder = (endpoint.path.parent_path() / ".notp-XXXXXX").string();
  const size_t room = sizeof(sockaddr_un::sun_path) - 1;
  if (folder.size() + 2 > room || path.size() > room)
    return fail(ErrorCode::kConfig,
                fmt::format("'{}' is too long for the path of a Unix socket", path));
  if (::mkdtemp(folder.data()) == nullptr)
    return fail(ErrorCode::kIo, fmt::format("{}: {}", path, reason(errno)));
  const std::string file = folder + "/s";
  Listener out{Acceptor(executor), Transport::kUnix, path, 0, true, endpoint.path, 0, 0};
  const auto open = [&]() -> Result<void> {
    error_code error;
    const asio::local::stream_protocol::endpoint name(file);
    out.acceptor.open(name.protocol(), error);
    if (!error) out.acceptor.bind(name, error);
    if (error)
      return fail(ErrorCode::kIo, fmt::format("cannot listen on {}: {}", path, error.message()));
    NOTP_TRY(set_access(file, endpoint));
    out.acceptor.listen(kBacklog, error);
    struct stat status{};
    if (error || ::lstat(file.c_str(), &status) != 0 || ::rename(file.c_str(), path.c_str()) != 0)
      return fail(ErrorCode::kIo, fmt::format("cannot listen on {}: {}", path,
                                              error ? error.message() : reason(errno)));
    out.device = status.st_dev;
    out.inode = status.st_ino;
    return {};
  };
  const Result<void> opened = open();
  ::unlink(file.c_str());
  ::rmdir(folder.c_str());
  if (!opened) return std::unexpected(opened.error());
  return out;
}

// --- sockets of a service manager

constexpr const char* kAgree =
    "make the socket unit and the configuration agree, or disable the socket unit";

Result<sockaddr_storage> name_of_listener(int fd) {
  int type = 0, listens = 0;
  socklen_t type_size = sizeof type, listens_size = sizeof listens;
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0)
    return fail(ErrorCode::kConfig, fmt::format("what the service manager passes is not a socket: "
                                                "{}",
                                                reason(errno)));
  if (type != SOCK_STREAM || listens == 0)
    return fail(ErrorCode::kConfig,
                "the service manager passes a socket that does not listen for streams: write "
                "ListenStream= and Accept=no in the socket unit");
  return name;
}

// nullopt: it is of another family.
std::optional<tcp::endpoint> tcp_name(const sockaddr_storage& name) {
  if (name.ss_family != AF_INET && name.ss_family != AF_INET6) return std::nullopt;
  tcp::endpoint out;
  std::memcpy(out.data(), &name, out.capacity());
  return out;
}

Error other_address(const std::string& passed, const std::string& configured) {
  return {
      ErrorCode::kConfig,
      fmt::format("the service manager passes a socket at {}, but the configuration says {}: {}",
                  passed, configured, kAgree),
      {}};
}

// Opened by a socket unit for this address; with port 0 the unit chooses the port.
Result<void> check_name(const sockaddr_storage& name, const TcpAddress& at, Listener& out) {
  NOTP_ASSIGN(const asio::ip::address address, parse(at));
  const auto bound = tcp_name(name);
  if (!bound) return std::unexpected(other_address("no IP address", text_of(address, at.port)));
  out.loopback = address.is_loopback();
  out.port = bound->port();
  out.address = text_of(bound->address(), out.port);
  if (bound->address() == address && (at.port == 0 || at.port == out.port)) return {};
  return std::unexpected(other_address(out.address, text_of(address, at.port)));
}

// Mode and group say who may ask: a socket unit must not open it to others than configured.
Result<void> check_access(const UnixEndpoint& endpoint) {
  constexpr unsigned kPermissions = 0777;
  struct stat status{};
  if (::lstat(endpoint.path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode))
    return fail(ErrorCode::kConfig,
                fmt::format("the service manager passes a socket at {}, and the file is not there: "
                            "restart its socket unit",
                            endpoint.path.string()));
  if ((status.st_mode & kPermissions) != endpoint.mode)
    return fail(
        ErrorCode::kConfig,
        fmt::format("the service manager gives {} the mode {:04o}, but the configuration "
                    "says {:04o} (SocketMode= of a socket unit is 0666 by default): {}",
                    endpoint.path.string(), status.st_mode & kPermissions, endpoint.mode, kAgree));
  if (endpoint.group.empty()) return {};
  NOTP_ASSIGN(const gid_t group, group_of(endpoint.group));
  if (status.st_gid == group) return {};
  return fail(ErrorCode::kConfig,
              fmt::format("the service manager gives {} to group {}, but the configuration says "
                          "'{}' (SocketGroup=): {}",
                          endpoint.path.string(), status.st_gid, endpoint.group, kAgree));
}

Result<void> check_name(const sockaddr_storage& name, const UnixEndpoint& at, Listener& out) {
  const std::string path = at.path.string();
  if (name.ss_family != AF_UNIX) {
    const auto bound = tcp_name(name);
    return std::unexpected(
        other_address(bound ? text_of(bound->address(), bound->port()) : "no path", path));
  }
  const auto& bound = reinterpret_cast<const sockaddr_un&>(name);
  if (path != bound.sun_path)
    return std::unexpected(
        other_address(bound.sun_path[0] == '\0' ? "an abstract name" : bound.sun_path, path));
  out.transport = Transport::kUnix;
  out.loopback = true;
  out.address = path;
  return check_access(at);
}

}  // namespace

void Listener::close() {
  error_code ignored;
  acceptor.close(ignored);
  struct stat status{};
  if (!file.empty() && ::lstat(file.c_str(), &status) == 0 && status.st_dev == device &&
      status.st_ino == inode)
    ::unlink(file.c_str());
  file.clear();
}

Result<Listener> open_listener(const asio::any_io_executor& executor, const Endpoint& endpoint) {
  if (const auto* unix_endpoint = std::get_if<UnixEndpoint>(&endpoint))
    return listen_unix(executor, *unix_endpoint);
  if (const auto* tls = std::get_if<TlsEndpoint>(&endpoint))
    return listen_tcp(executor, address_of(*tls));
  return listen_tcp(executor, address_of(std::get<TcpEndpoint>(endpoint)));
}

Result<Listener> adopt_listener(const asio::any_io_executor& executor, const Endpoint& endpoint,
                                Descriptor socket) {
  NOTP_ASSIGN(const sockaddr_storage name, name_of_listener(socket.get()));
  Listener out{Acceptor(executor), Transport::kTcp, {}, 0, false, {}, 0, 0};
  if (const auto* unix_endpoint = std::get_if<UnixEndpoint>(&endpoint)) {
    NOTP_TRY(check_name(name, *unix_endpoint, out));
  } else {
    const auto* tls = std::get_if<TlsEndpoint>(&endpoint);
    const TcpAddress at = tls ? address_of(*tls) : address_of(std::get<TcpEndpoint>(endpoint));
    out.transport = at.transport;
    NOTP_TRY(check_name(name, at, out));
  }
  error_code error;
  const int protocol = name.ss_family == AF_UNIX ? 0 : IPPROTO_TCP;
  out.acceptor.assign({name.ss_family, protocol}, socket.get(), error);
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot listen on {}: {}", out.address, error.message()));
  static_cast<void>(socket.release());
  return out;
}

Peer peer_of(const asio::generic::stream_protocol::socket& socket, Transport transport) {
  Peer peer;
  peer.transport = transport;
  auto& handle = const_cast<asio::generic::stream_protocol::socket&>(socket);  // NOLINT
  if (transport == Transport::kUnix) {
    peer.address = "unix";
    peer.loopback = true;
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(handle.native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
      peer.unix_peer = UnixCredentials{who.pid, who.uid, who.gid};
    return peer;
  }
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getpeername(handle.native_handle(), reinterpret_cast<sockaddr*>(&name), &size) != 0)
    return peer;
  asio::ip::address address;
  if (name.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(name);
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    address = asio::ip::address_v6(bytes, v6.sin6_scope_id);
    if (address.to_v6().is_v4_mapped())
      address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    peer.port = ntohs(v6.sin6_port);
  } else {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(name);
    address = asio::ip::address_v4(ntohl(v4.sin_addr.s_addr));
    peer.port = ntohs(v4.sin_port);
  }
  peer.address = address.to_string();
  peer.loopback = address.is_loopback();
  return peer;
}

}  // namespace notp::http
