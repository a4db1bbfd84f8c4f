// The arm under test: the real registry, the real CLI as publisher and two real agents, as
// processes, over mutual TLS.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "common/bytes.hpp"
#include "tools/bench/agent_arm.hpp"
#include "tools/bench/counting_proxy.hpp"
#include "tools/bench/publisher.hpp"
#include "tools/bench/registry_process.hpp"

namespace notp::bench {

struct PublishedRelease {
  uint64_t version = 0;
  uint64_t artifact_bytes = 0;  // as the publisher sent it
  Bytes envelope;               // signed, as the registry keeps it
};

// The cost of a session before any release: TLS handshake, Hello, Welcome.
struct OpeningBytes {
  uint64_t up = 0, down = 0;
};

// A whole session, from the first byte of its handshake to its end.
struct SessionCost {
  uint64_t up_bytes = 0, down_bytes = 0;
  double round_trips = 0;  // until the agent's PDP decided with the release; one is TLS's

  uint64_t bytes() const { return up_bytes + down_bytes; }
};

// A pull whose connection is cut midway.
struct CutPull {
  uint64_t bytes_until_cut = 0;
  SessionCost resumed;  // the session after it
};

struct NotpArmOptions {
  std::filesystem::path programs;  // has notp, notp-server and notp-client
  std::filesystem::path folder;    // new, and used by this arm only
};

class NotpArm {
 public:
  static constexpr std::string_view kTrustDomain = "bench.internal";

  // Makes a trust domain and starts the registry. Its root names no freshness key, so that an open
  // session carries only releases and pings.
  static Result<std::unique_ptr<NotpArm>> start(CountingProxy& proxy, NotpArmOptions options);
  ~NotpArm();

  // Makes another agent, with its own certificate, without starting it. `more`: lines appended to
  // its configuration.
  Result<AgentArm> make_agent(const std::string& node, uint16_t registry_port, AgentPdp pdp,
                              std::string more = {}) const;
  // pki/NAME.crt and pki/NAME.key in the arm's folder, beside pki/ca.crt. `role` as "--node".
  Result<void> issue(const std::string& role, const std::string& name) const;
  uint16_t registry_port() const { return registry_->port(); }
  // Two agents with the embedded PDP, each behind its own route; neither runs yet.
  AgentArm& push_agent() { return *push_agent_; }
  AgentArm& pull_agent() { return *pull_agent_; }
  Route& pull_route() { return *pull_route_; }
  // Starts an agent and waits until both it (after Welcome) and the registry report its session as
  // open and idle.
  Result<void> open_session(AgentArm& agent);

  // Publishes a folder. The release is sent between this call and the return of await_push().
  Result<PublishedRelease> publish(const std::filesystem::path& model, const std::string& message);
  // Returns the traffic of the open session until the agent reported to the registry that its PDP
  // decides with this release. kPdpRejected; kTimeout.
  Result<Traffic> await_push(uint64_t version);
  // The same for an agent that starts with the previous release (the first time: with nothing),
  // connects, pulls and leaves: its session up to that Commit.
  Result<Traffic> pull(uint64_t version);
  // The same, cut once this many bytes have come down. The agent keeps running and reconnects.
  Result<CutPull> pull_with_cut(uint64_t version, uint64_t down_bytes);
  // Pulls to a node whose only release, of `other_model`, is unknown to the registry: another
  // registry of the same trust domain published it. The version must be above 2: next to the base
  // it would be an equivocation.
  Result<SessionCost> pull_on_unknown_base(const std::filesystem::path& other_model,
                                           uint64_t version);
  // The same node at this version, after one of its small files was damaged on disk. Its store is
  // intact again at the end.
  Result<SessionCost> repair(uint64_t version, ByteView small_file);
  Result<OpeningBytes> measure_opening();
  // A publisher in this process. The ledger must not have a release.
  Result<std::unique_ptr<Publisher>> open_publisher() const;

  // Stops the processes gracefully. kTimeout, kInternal.
  Result<void> stop();

 private:
  struct Admin;
  explicit NotpArm(NotpArmOptions options);
  Result<std::string> cli(std::vector<std::string> words, const std::string& home = "home") const;
  std::vector<std::string> publish_words(uint16_t port, const std::filesystem::path& model,
                                         const std::string& message) const;
  Result<void> fill_from_another_registry(AgentArm& agent,
                                          const std::filesystem::path& model) const;
  Result<SessionCost> end_session(AgentArm& agent, uint64_t version);
  Result<void> make_trust_domain() const;
  Result<void> open_admin();
  Result<Bytes> envelope_of(uint64_t version) const;
  Result<void> await_active(AgentArm& agent, uint64_t version) const;

  const NotpArmOptions options_;
  const std::filesystem::path& folder_ = options_.folder;
  Route *push_route_ = nullptr, *pull_route_ = nullptr;
  std::optional<RegistryProcess> registry_;
  std::optional<AgentArm> push_agent_, pull_agent_, stray_agent_;  // the last two take turns
  std::unique_ptr<Admin> admin_;
};

}  // namespace notp::bench
