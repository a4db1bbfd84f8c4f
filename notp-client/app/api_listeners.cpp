#include "notp-client/app/api_listeners.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "common/log.hpp"

namespace notp::client {
namespace {

constexpr int64_t kGraceMs = 1'000;
constexpr size_t kRetiredMax = 8;

template <typename T>
std::optional<http::Endpoint> as_endpoint(const std::optional<T>& endpoint) {
  return endpoint ? std::optional<http::Endpoint>(*endpoint) : std::nullopt;
}

std::array<std::optional<http::Endpoint>, 4> endpoints_of(const api::ApiConfig& config) {
  return {as_endpoint(config.listen), as_endpoint(config.listen_unix),
          as_endpoint(config.listen_tls), as_endpoint(config.health_listen)};
}

// The settings that a server cannot change while it listens.
auto fixed(const http::TcpEndpoint& at) { return std::tie(at.address, at.port); }
auto fixed(const http::UnixEndpoint& at) { return std::tie(at.path, at.mode, at.group); }
auto fixed(const http::TlsEndpoint& at) { return std::tie(at.address, at.port); }

bool is_same(const http::Endpoint& a, const http::Endpoint& b) {
  return a.index() == b.index() &&
         std::visit(
             [&](const auto& one) {
               return fixed(one) == fixed(std::get<std::decay_t<decltype(one)>>(b));
             },
             a);
}

// Whether the two endpoints cannot be open at the same time.
bool is_same_file(const http::Endpoint& a, const http::Endpoint& b) {
  const auto* one = std::get_if<http::UnixEndpoint>(&a);
  const auto* other = std::get_if<http::UnixEndpoint>(&b);
  return one && other && one->path == other->path;
}

}  // namespace

ApiListeners::ApiListeners(boost::asio::any_io_executor executor, const api::Api& api,
                           std::shared_ptr<prometheus::Registry> metrics)
    : executor_(std::move(executor)), api_(api), metrics_(std::move(metrics)) {
  slots_[0] = {.name = "loopback", .key = "listen"};
  slots_[1] = {.name = "unix", .key = "listen_unix"};
  slots_[2] = {.name = "tls", .key = "listen_tls"};
  slots_[3] = {.name = "health", .key = "health_listen", .health_only = true};
}

void ApiListeners::take_limits(const api::ApiConfig& config) {
  admission_->set_options({.connections_max = config.connections_max});
  common_.hosts = config.hosts;
  common_.body_bytes_max = config.body_bytes_max;
  common_.gzip_body_bytes_max = config.gzip_body_bytes_max;
  common_.body_bytes_key = "limits.body_bytes";
  common_.gzip_body_bytes_key = "limits.gzip_body_bytes";
  common_.admission = admission_;
  common_.metrics = metrics_;
  common_.metrics_prefix = "notp_agent_http";
}

http::ServerOptions ApiListeners::options(const Slot& slot) const {
  http::ServerOptions options = common_;
  options.name = slot.name;
  // Probes use addresses as host names.
  if (slot.health_only) options.hosts.clear();
  return options;
}

Result<std::unique_ptr<http::Server>> ApiListeners::listen(const Slot& slot,
                                                           const http::Endpoint& endpoint,
                                                           Descriptor passed) {
  auto handler = slot.health_only ? api_.health_handler() : api_.handler();
  if (passed.is_open())
    return http::Server::adopt(executor_, endpoint, std::move(passed), options(slot),
                               std::move(handler));
  return http::Server::listen(executor_, endpoint, options(slot), std::move(handler));
}

// Before anything is opened: a port that a socket unit holds would only be "in use".
Result<void> ApiListeners::check_names(const systemd::PassedSockets& sockets,
                                       const Endpoints& endpoints) const {
  for (const std::string& name : sockets.names()) {
    const auto slot = std::ranges::find(slots_, name, &Slot::key);
    if (slot == slots_.end())
      return fail(
          ErrorCode::kConfig,
          fmt::format("the service manager passes a socket of the name '{}', which means no "
                      "listener: write FileDescriptorName=listen, listen_unix, listen_tls "
                      "or health_listen into its socket unit",
                      name));
    if (!endpoints[static_cast<size_t>(slot - slots_.begin())])
      return fail(ErrorCode::kConfig,
                  fmt::format("the service manager passes a socket for {}, which the configuration "
                              "does not have: add it, or disable the socket unit",
                              name));
  }
  return {};
}

Result<void> ApiListeners::open(const api::ApiConfig& config, systemd::PassedSockets sockets) {
  take_limits(config);
  const Endpoints endpoints = endpoints_of(config);
  NOTP_TRY(check_names(sockets, endpoints));
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (!endpoints[i]) continue;
    Descriptor passed = sockets.take(slot.key);
    slot.is_passed = passed.is_open();
    auto server = listen(slot, *endpoints[i], std::move(passed));
    if (!server) return std::unexpected(std::move(server).error().in(std::string(slot.key)));
    slot.server = *std::move(server);
    slot.endpoint = endpoints[i];
    if (slot.health_only && slot.is_passed) slot.server->begin();
  }
  return {};
}

void ApiListeners::begin() {
  for (Slot& slot : slots_)
    if (slot.is_passed && !slot.health_only) slot.server->begin();
}

void ApiListeners::change(const api::ApiConfig& config) {
  take_limits(config);
  auto endpoints = endpoints_of(config);
  for (size_t i = 0; i < slots_.size(); ++i)
    if (auto changed = change(slots_[i], std::move(endpoints[i])); !changed)
      log::write(log::Level::kError, "listener_not_changed", changed.error(),
                 {{"listener", slots_[i].name}});
}

Result<void> ApiListeners::change(Slot& slot, std::optional<http::Endpoint> endpoint) {
  if (slot.server) slot.server->set_options(options(slot));
  if (slot.is_passed && (!endpoint || !is_same(*slot.endpoint, *endpoint)))
    return fail(ErrorCode::kConfig,
                fmt::format("the service manager keeps the socket at {}: change its socket unit as "
                            "well, and restart both",
                            slot.server->address()));
  if (!endpoint) {
    if (slot.server) log::info("listener_closed", {{"address", slot.server->address()}});
    retire(std::move(slot.server));
    slot.endpoint.reset();
    return {};
  }
  if (!slot.server || !is_same(*slot.endpoint, *endpoint))
    return replace(slot, *std::move(endpoint));
  if (const auto* tls = std::get_if<http::TlsEndpoint>(&*endpoint)) {
    NOTP_TRY(slot.server->reload(*tls));
    slot.endpoint = std::move(endpoint);
  }
  return {};
}

Result<void> ApiListeners::replace(Slot& slot, http::Endpoint endpoint) {
  std::unique_ptr<http::Server> before;
  if (slot.server && is_same_file(*slot.endpoint, endpoint)) slot.server.reset();
  NOTP_ASSIGN(before, listen(slot, endpoint));
  std::swap(before, slot.server);
  retire(std::move(before));
  slot.endpoint = std::move(endpoint);
  log::info("listener_opened", {{"address", slot.server->address()}});
  return {};
}

void ApiListeners::retire(std::unique_ptr<http::Server> server) {
  if (!server) return;
  server->stop(kGraceMs);
  retired_.push_back(std::move(server));
  if (retired_.size() > kRetiredMax) retired_.pop_front();
}

void ApiListeners::look() {
  for (Slot& slot : slots_) {
    const auto* tls = slot.endpoint ? std::get_if<http::TlsEndpoint>(&*slot.endpoint) : nullptr;
    if (tls == nullptr || !slot.server) continue;
    const auto changed = slot.server->reload(*tls);
    if (!changed)
      log::write(log::Level::kError, "listener_not_changed", changed.error(),
                 {{"listener", slot.name}});
    else if (*changed)
      log::info("listener_certificates_changed", {{"address", slot.server->address()}});
  }
}

void ApiListeners::stop(std::function<void()> ended) {
  // The last owner to let go calls it: at once when there are no servers.
  const std::shared_ptr<void> last(nullptr, [ended = std::move(ended)](void*) { ended(); });
  const auto end = [&](http::Server& server) { server.stop(kGraceMs, [last] {}); };
  for (Slot& slot : slots_)
    if (slot.server) end(*slot.server);
  for (const auto& server : retired_) end(*server);
}

std::string ApiListeners::loopback_address() const {
  return slots_[0].server ? slots_[0].server->address() : std::string();
}

std::vector<std::string> ApiListeners::addresses() const {
  std::vector<std::string> out;
  for (const Slot& slot : slots_)
    if (slot.server) out.push_back(slot.server->address());
  return out;
}

}  // namespace notp::client
