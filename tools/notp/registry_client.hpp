// One session with a registry, used synchronously: each call runs the event loop until its answer
// arrives, the session ends, or a deadline passes. One thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/session/client/client_session.hpp"
#include "protocol/trust/verify.hpp"
#include "tools/notp/output.hpp"
#include "tools/notp/settings.hpp"

namespace notp::cli {

class RegistryClient {
 public:
  // Is called some ten times a second while a call waits; false ends the call with kCancelled.
  using Meanwhile = std::function<bool()>;

  // Connects (TLS and NOTP handshakes), requests the heads of `ledgers` and accepts the roots above
  // `root_version`. kUsage when the settings name no registry or certificate; kUnavailable,
  // kTimeout, TLS and identity errors.
  static Result<std::unique_ptr<RegistryClient>> connect(
      const Settings& settings, std::string trust_domain, uint64_t root_version,
      const std::vector<model::LedgerId>& ledgers, Meanwhile meanwhile = {});
  ~RegistryClient();

  // The head of a ledger that connect() asked for; nullopt when it has no release. kDenied.
  Result<std::optional<trust::ReleaseRef>> head(const model::LedgerId& ledger) const;

  // An artifact as received; nothing in it is verified yet.
  struct Fetched {
    wire::Offer offer;
    Bytes artifact;
  };
  // One release, as a delta on `want.base` when the registry knows it; want.version is set.
  // kNotFound, kDenied.
  Result<Fetched> fetch(wire::Want want, Progress& progress);

  // The result may carry an error code; only a failure to get a result is an error here.
  Result<wire::PublishResult> publish(wire::Publish publish, model::Content artifact,
                                      Progress& progress);

  // Returns the content of the response: ask(wire::NodesRequest{}) returns a wire::NodesPage.
  // kDenied, kNotFound and the like when the response carries an error code; kMessage for a
  // different content.
  template <typename T>
  Result<typename T::Response> ask(T what) {
    NOTP_ASSIGN(wire::Response response, exchange({0, std::move(what)}));
    return wire::take_response<T>(std::move(response));
  }

  // The registry's wall clock, by the statement of freshness that it issues for this release, and
  // this machine's when it arrived. The statement is not verified. nullopt: none arrives; the
  // registry signs none. From then on newer releases of the ledger arrive in this session.
  struct ClockReading {
    TimeMs registry_ms = 0, own_ms = 0;
  };
  Result<std::optional<ClockReading>> read_clock_of_registry(const trust::ReleaseRef& head);

  // The calls from now on.
  void set_meanwhile(Meanwhile meanwhile);
  // Whether the session has not ended: an error of a call may be the registry's answer.
  bool is_open() const;

  const wire::Welcome& welcome() const;
  // Every root received, oldest first; nothing is verified yet.
  const std::vector<Bytes>& roots() const;
  // On the TCP connection, TLS included.
  uint64_t bytes_sent() const;
  uint64_t bytes_received() const;

 private:
  struct State;
  explicit RegistryClient(std::unique_ptr<State> state);
  // The response to this request; it may carry an error code.
  Result<wire::Response> exchange(wire::Request request);
  std::unique_ptr<State> state_;
};

}  // namespace notp::cli
