// The arm under test: the real registry, the real CLI that publishes and two real agents with the
// embedded PDP, as processes, over mutual TLS.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "common/bytes.hpp"
#include "tools/bench/child.hpp"
#include "tools/bench/counting_proxy.hpp"

namespace notp::bench {

struct PublishedRelease {
  uint64_t version = 0;
  uint64_t artifact_bytes = 0;  // as the publisher sent it
  Bytes envelope;               // signed, as the registry keeps it
};

// What a session costs before any release: TLS handshake, Hello, Welcome.
struct OpeningBytes {
  uint64_t up = 0, down = 0;
};

class NotpArm {
 public:
  // Makes a trust domain in `folder`, which is new, and starts the registry and the agent with an
  // open session. `programs` holds notp, notp-server and notp-client.
  static Result<std::unique_ptr<NotpArm>> start(CountingProxy& proxy,
                                                const std::filesystem::path& programs,
                                                const std::filesystem::path& folder);
  ~NotpArm();

  // Publishes a folder. Between it and the return of await_push() the release travels.
  Result<PublishedRelease> publish(const std::filesystem::path& model, const std::string& message);
  // What the open session cost until the registry knew from the agent that its PDP decides with
  // this release. kPdpRejected; kTimeout.
  Result<Traffic> await_push(uint64_t version);
  // The same for an agent that starts with the release before (the first time: with nothing),
  // connects, pulls and leaves: its session up to that Commit.
  Result<Traffic> pull(uint64_t version);
  Result<OpeningBytes> measure_opening();

  // Ends the processes in good order. kTimeout, kInternal.
  Result<void> stop();

 private:
  struct Admin;
  NotpArm(std::filesystem::path programs, std::filesystem::path folder);
  Result<std::string> cli(std::vector<std::string> words) const;
  Result<void> make_trust_domain() const;
  Result<void> start_server();
  Result<void> write_agent_config(const std::string& node, uint16_t registry_port) const;
  Result<Child> start_agent(const std::string& node) const;
  Result<Bytes> envelope_of(uint64_t version) const;
  Result<void> await_active(const std::string& node, Child& agent, uint64_t version) const;
  // The end of a program's log, for the message of a failure.
  std::string log_tail(const std::string& program) const;

  const std::filesystem::path programs_, folder_;
  uint16_t server_port_ = 0;
  Route *push_route_ = nullptr, *pull_route_ = nullptr;
  std::optional<Child> server_, push_agent_;
  std::unique_ptr<Admin> admin_;
};

}  // namespace notp::bench
