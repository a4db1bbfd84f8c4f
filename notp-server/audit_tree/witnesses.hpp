// Asks witnesses to cosign the registry's tree: C2SP tlog-witness, over HTTP.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/http/client.hpp"
#include "common/mutex.hpp"
#include "notp-server/audit/audit_config.hpp"
#include "notp-server/audit_tree/tree_limits.hpp"
#include "notp-server/audit_tree/tree_log.hpp"

namespace notp::audit {

struct WitnessesOptions {
  std::vector<WitnessAddress> witnesses;
  http::Client client;
  int64_t retry_ms = limits::kWitnessRetryMs;  // doubled up to kWitnessRetryMsMax
  int64_t call_ms = limits::kWitnessCallMs;
  // Receives a cosignature of a checkpoint, on a thread of its own; nothing of it is verified.
  std::function<void(uint64_t size, record::Cosignature cosignature, const PublicKey& key)>
      cosigned;
};

// One thread for each witness, so that one that is slow holds up no other. Each asks for the newest
// checkpoint, and again later after a failure, which is logged once while it lasts. Thread-safe.
class Witnesses {
 public:
  // `tree` outlives it.
  Witnesses(const TreeLog& tree, WitnessesOptions options);
  ~Witnesses();
  Witnesses(const Witnesses&) = delete;
  Witnesses& operator=(const Witnesses&) = delete;

  void start();
  // There is a new checkpoint.
  void sealed();
  // Ends after the calls that are under way. Blocking; a second call does nothing.
  void stop();

 private:
  // What one witness is known to have.
  struct Witness {
    const WitnessAddress* address = nullptr;
    uint64_t size = 0;  // of the checkpoint that it has cosigned
    bool is_failing = false;
    std::thread thread;
  };

  void run(Witness& witness);
  // Waits until there is a checkpoint above `size`, and at least until `not_before`. False: it
  // stops.
  bool wait_for(uint64_t size, std::chrono::steady_clock::time_point not_before);
  // Brings the witness up to the newest checkpoint.
  Result<void> ask(Witness& witness);

  const TreeLog& tree_;
  const WitnessesOptions options_;
  std::vector<std::unique_ptr<Witness>> witnesses_;

  Mutex mutex_;
  ConditionVariable wake_;
  bool stopping_ NOTP_GUARDED_BY(mutex_) = false;
};

}  // namespace notp::audit
