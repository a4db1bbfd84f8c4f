// The agent's listeners as configured: opened at the start, changed on SIGHUP.
#pragma once

#include <prometheus/registry.h>

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "common/http/server.hpp"
#include "common/systemd/passed_sockets.hpp"
#include "notp-client/api/api.hpp"
#include "notp-client/api/api_config.hpp"

namespace notp::client {

// One thread.
class ApiListeners {
 public:
  // Servers run on `executor`; they end before `api` does.
  ApiListeners(boost::asio::any_io_executor executor, const api::Api& api,
               std::shared_ptr<prometheus::Registry> metrics);

  // Opens all listeners, or returns the error of the first that cannot be opened. Sockets with the
  // name of a listener's key are used instead of opening one; kConfig: the configuration does not
  // agree with them, or a name means no listener. Those for decisions do not accept before begin().
  Result<void> open(const api::ApiConfig& config, systemd::PassedSockets sockets);
  void begin();
  // Unchanged listeners keep their connections; a new one is opened before the one it replaces is
  // closed. A listener that cannot be changed stays as it was, and the error is logged; so does one
  // whose socket was passed.
  void change(const api::ApiConfig& config);
  // Reloads the certificates of the TLS listener, if they have changed.
  void look();
  // Requests under way are still answered. `ended` is called from any thread once no connection is
  // left.
  void stop(std::function<void()> ended);

  // "127.0.0.1:8282", with the actual port; empty: no listener on loopback.
  std::string loopback_address() const;
  // The addresses of all listeners, for the log.
  std::vector<std::string> addresses() const;

 private:
  struct Slot {
    std::string_view name;
    std::string_view key;  // of the configuration; the name of a passed socket
    bool health_only = false;
    bool is_passed = false;  // its socket
    std::optional<http::Endpoint> endpoint;
    std::unique_ptr<http::Server> server;
  };

  using Endpoints = std::array<std::optional<http::Endpoint>, 4>;

  Result<void> check_names(const systemd::PassedSockets& sockets, const Endpoints& endpoints) const;
  Result<std::unique_ptr<http::Server>> listen(const Slot& slot, const http::Endpoint& endpoint,
                                               Descriptor passed = {});
  Result<void> change(Slot& slot, std::optional<http::Endpoint> endpoint);
  Result<void> replace(Slot& slot, http::Endpoint endpoint);
  void retire(std::unique_ptr<http::Server> server);
  http::ServerOptions options(const Slot& slot) const;
  void take_limits(const api::ApiConfig& config);

  const boost::asio::any_io_executor executor_;
  const api::Api& api_;
  const std::shared_ptr<prometheus::Registry> metrics_;
  const std::shared_ptr<http::Admission> admission_ = std::make_shared<http::Admission>();
  http::ServerOptions common_;
  std::array<Slot, 4> slots_;
  // Closed to new connections; they finish the requests under way.
  std::deque<std::unique_ptr<http::Server>> retired_;
};

}  // namespace notp::client
