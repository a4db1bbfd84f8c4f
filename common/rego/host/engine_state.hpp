// The shell around the engine's core: it runs effects and decides nothing.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/mutex.hpp"
#include "common/rego/host/activation.hpp"
#include "common/rego/host/engine.hpp"
#include "common/rego/host/engine_core.hpp"
#include "common/rego/host/token_frames.hpp"
#include "common/rego/host/worker_link.hpp"

namespace notp::rego {

class Engine::State : public std::enable_shared_from_this<Engine::State> {
 public:
  using ActivationDone = std::function<void(Result<void>)>;

  State(boost::asio::any_io_executor executor, boost::asio::thread_pool& pool,
        EngineOptions options, std::function<void(QuarantineNotice)> on_quarantine);

  void begin();
  void stop();
  uint64_t evaluate(Question question, DecisionDone done);
  void cancel(uint64_t ticket);
  void activate(SnapshotPtr snapshot, ActivationDone done);
  void replace_worker(std::string program, ActivationDone done);
  void feed_tokens(TokenUpdate update, ActivationDone done);
  SnapshotPtr active() const;
  EngineStatus status() const;

 private:
  // Content that a worker holds: its size, and whether it is a policy.
  struct Held {
    uint64_t bytes = 0;
    bool is_module = false;
  };
  using Contents = std::unordered_map<Hash, Held, HashOfHash>;

  // A snapshot on its way into a worker. Used by one thread at a time.
  struct Provision {
    WorkerRef ref;
    std::shared_ptr<WorkerLink> link;
    uint64_t number = 0, base_number = 0;
    SnapshotPtr target, base;  // base: null for none
    Contents contents;         // held by the worker
    bool is_accepted = false;
    uint32_t id = 0;  // of the activate frame; 0: not sent yet
    int rounds = 0;
    uint64_t document_bytes = 0;
    uint64_t module_bytes = 0;  // of texts, plus a fixed amount for each module
    uint64_t budget_bytes = 0;
    std::atomic<bool> is_cancelled = false;
  };
  using ProvisionPtr = std::shared_ptr<Provision>;

  struct Worker {
    std::shared_ptr<WorkerLink> link;  // null: none
    WorkerRef ref;
    bool is_greeted = false;
    uint64_t held = 0;
    SnapshotPtr snapshot;
    Contents contents;
    ProvisionPtr provision;  // the current one
    uint64_t budget_bytes = 0;
    WorkerTokens tokens;
  };

  struct Asked {
    EncodedQuestion encoded;
    size_t inputs = 0;
    DecisionDone done;
  };

  // The work that is left once the mutex is released.
  struct Rest {
    std::vector<std::function<void()>> callbacks;
    std::vector<std::shared_ptr<WorkerLink>> to_flush;
  };
  struct Answered {
    CoreAnswer core;
    EvalAnswer answer;
  };

  // engine.cpp
  static TimeMs now_ms();
  Rest perform(Answered* answered = nullptr) NOTP_REQUIRES(mutex_);
  void run(effect::Start& start, Rest& rest) NOTP_REQUIRES(mutex_);
  void run(effect::Send& send, Rest& rest) NOTP_REQUIRES(mutex_);
  void run(effect::Provision& provision) NOTP_REQUIRES(mutex_);
  void deliver(effect::Deliver& deliver, Answered* answered, Rest& rest) NOTP_REQUIRES(mutex_);
  void refuse(effect::Refuse& refuse, Rest& rest) NOTP_REQUIRES(mutex_);
  void arm() NOTP_REQUIRES(mutex_);
  void on_timer();
  // Flushes, and calls callbacks: directly on a thread of the executor, else posted to it.
  void finish(Rest rest, bool on_executor);
  WorkerLink* link_of(WorkerRef ref) NOTP_REQUIRES(mutex_);

  // engine_workers.cpp
  void start_worker(WorkerRef ref);
  void on_frames(WorkerLink& link, const std::vector<IncomingFrame>& frames);
  void on_hello(WorkerLink& link, const IncomingFrame& frame);
  void on_answer(WorkerLink& link, const IncomingFrame& frame);
  void on_evaluated(WorkerLink& link, const IncomingFrame& frame);
  void on_broken(WorkerLink& link, const Error& error);
  void on_ended(WorkerLink& link, const WorkerEnd& end);
  Result<Answered> decode(const IncomingFrame& frame) const;

  // engine_provision.cpp
  void provide(const ProvisionPtr& provision);  // on the pool
  Result<void> stage(Provision& provision, const ContentNeed& need);
  Result<void> stage_all(Provision& provision, const std::vector<ContentNeed>& needs);
  void set_budget(Provision& provision);
  void on_activated(WorkerLink& link, const IncomingFrame& frame);
  Result<void> activation_outcome(const Provision& provision, ByteView payload,
                                  std::vector<Hash>& missing);
  void conclude(const ProvisionPtr& provision, Result<void> outcome, bool on_executor);
  uint32_t next_request_id() NOTP_REQUIRES(mutex_);

  // engine_tokens.cpp
  void send_tokens(Worker& worker, Rest& rest) NOTP_REQUIRES(mutex_);
  void on_tokens(WorkerLink& link, const IncomingFrame& frame);
  void finish_feeds(Rest& rest) NOTP_REQUIRES(mutex_);

  const boost::asio::any_io_executor executor_;
  boost::asio::thread_pool& pool_;
  const EngineOptions options_;
  const std::string opa_version_;
  const unsigned processors_;
  const std::function<void(QuarantineNotice)> on_quarantine_;

  std::atomic<uint64_t> units_compiled_ = 0;
  std::atomic<uint64_t> documents_patched_ = 0, patch_bytes_ = 0;

  mutable Mutex mutex_;
  bool is_stopped_ NOTP_GUARDED_BY(mutex_) = false;
  std::string program_ NOTP_GUARDED_BY(mutex_), former_program_ NOTP_GUARDED_BY(mutex_);
  EngineCore core_ NOTP_GUARDED_BY(mutex_);
  std::array<Worker, 2> workers_ NOTP_GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, Asked> asked_ NOTP_GUARDED_BY(mutex_);
  std::map<uint64_t, ActivationDone> activations_ NOTP_GUARDED_BY(mutex_);
  std::map<uint64_t, SnapshotPtr> snapshots_ NOTP_GUARDED_BY(mutex_);  // active or about to be
  std::deque<ActivationDone> upgrades_ NOTP_GUARDED_BY(mutex_);
  // The table of the token lane, whole, and the calls that wait until all workers have it.
  TokenUpdate tokens_ NOTP_GUARDED_BY(mutex_);
  uint64_t tokens_number_ NOTP_GUARDED_BY(mutex_) = 0;  // 0: there is none
  std::map<uint64_t, ActivationDone> feeds_ NOTP_GUARDED_BY(mutex_);
  uint64_t last_ticket_ NOTP_GUARDED_BY(mutex_) = 0;
  uint64_t last_snapshot_ NOTP_GUARDED_BY(mutex_) = 0;
  uint32_t last_request_id_ NOTP_GUARDED_BY(mutex_) = 0;
  boost::asio::steady_timer timer_ NOTP_GUARDED_BY(mutex_);
  TimeMs armed_ms_ NOTP_GUARDED_BY(mutex_) = kNever;
};

}  // namespace notp::rego
