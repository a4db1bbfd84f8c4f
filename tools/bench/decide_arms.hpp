// The two running PDPs of the suite "decide", with the same model: the agent with a registry, and
// OPA with a bundle server.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "tools/bench/decide_suite.hpp"
#include "tools/bench/notp_arm.hpp"
#include "tools/bench/opa_arm.hpp"
#include "tools/bench/rbac_model.hpp"

namespace notp::bench {

enum class Way : uint8_t { kTcp, kUnix, kTls };

class DecideArms {
 public:
  // Starts everything and waits until both decide with the model. `folder` is new. A way that the
  // agent's configuration does not support is skipped for it, with a line in `notes`.
  static Result<std::unique_ptr<DecideArms>> start(const DecideOptions& options,
                                                   const std::filesystem::path& folder,
                                                   std::vector<std::string>& notes);

  // nullopt: this PDP cannot be reached that way.
  std::optional<PdpAddress> address(DecidePdp pdp, Way way) const;
  // Makes clients of the trust domain that both PDPs accept, each with its own certificate.
  Result<std::vector<LoadTls>> make_peps(size_t count) const;
  pid_t pid(DecidePdp pdp) const;
  const RbacModel& model() const { return *model_; }
  // Publishes the next release of the model, to this PDP only. Returns once it is sent.
  Result<void> swap(DecidePdp pdp);
  // Waits until this PDP decides with its last release.
  Result<void> await_swapped(DecidePdp pdp);
  Result<void> stop();

 private:
  explicit DecideArms(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Result<void> start_agent(std::vector<std::string>& notes);
  Result<void> start_opa(const std::filesystem::path& program);
  Result<std::string> listener_text(Way way);
  std::filesystem::path notp_folder() const { return folder_ / "notp"; }
  std::filesystem::path agent_socket() const { return folder_ / "agent.sock"; }
  std::filesystem::path opa_socket() const { return folder_ / "opa.sock"; }

  const std::filesystem::path folder_;
  CountingProxy proxy_;  // outlives the arms
  std::unique_ptr<RbacModel> model_;
  int64_t number_ = 0;  // of the model's release
  std::unique_ptr<NotpArm> notp_;
  std::optional<AgentArm> agent_;
  std::vector<Way> agent_ways_;
  uint16_t agent_tls_port_ = 0;
  std::unique_ptr<Publisher> publisher_;
  uint64_t version_ = 0;  // published last
  std::unique_ptr<OpaArm> opa_;
  std::optional<LoadTls> tls_;
};

// One caller that asks as fast as its connections allow, from its own thread.
class Flood {
 public:
  // `plan`: closed loop; its judge is not used.
  explicit Flood(LoadPlan plan);
  // Returns after the first answer, or a failure.
  void await_begun() const { has_begun_.wait(false); }
  Result<LoadFigures> stop();

 private:
  LoadPlan plan_;
  std::atomic_flag has_begun_;
  Result<LoadFigures> figures_;  // written by the thread; read after join
  std::jthread thread_;          // last: it uses the rest
};

// Swaps models repeatedly from its own thread.
class Swapper {
 public:
  // The first swap is after half of `every_s`; there is at least one.
  Swapper(DecideArms& arms, DecidePdp pdp, double every_s);
  // Returns the number of swaps; the error of the first that failed.
  Result<uint64_t> stop();

 private:
  void run(std::stop_token stop, double every_s);

  DecideArms& arms_;
  const DecidePdp pdp_;
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  Result<uint64_t> swapped_ = uint64_t{0};  // written by the thread; read after join
  std::jthread thread_;                     // last: it uses the rest
};

}  // namespace notp::bench
