// The engine with its real worker, for tests that block until answers arrive.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/rego/host/engine.hpp"

namespace notp::rego {

inline std::string worker_program() {
  const char* folder = std::getenv("NOTP_BIN");
  return std::string(folder != nullptr ? folder : ".") + "/notp-pdp";
}

// Stores content by hash, in memory.
class ContentShelf {
 public:
  Hash put(Bytes text) {
    const Hash hash = sha256(text);
    const std::scoped_lock lock(mutex_);
    texts_[hash] = std::make_shared<const Bytes>(std::move(text));
    return hash;
  }
  ContentLoader loader() {
    return [this](const Hash& hash) -> Result<std::shared_ptr<const Bytes>> {
      const std::scoped_lock lock(mutex_);
      ++loads;
      const auto found = texts_.find(hash);
      if (found == texts_.end()) return fail(ErrorCode::kNotFound, hash.brief() + " is not there");
      return found->second;
    };
  }
  size_t loads = 0;

 private:
  std::mutex mutex_;
  std::map<Hash, std::shared_ptr<const Bytes>> texts_;
};

// Builds ledgers of one policy each, whose package is the root.
class SnapshotBuilder {
 public:
  explicit SnapshotBuilder(ContentShelf& contents) : contents_(contents) {
    made_->load = contents.loader();
  }
  SnapshotBuilder& ledger(const std::string& root, const std::string& policy) {
    made_->ledgers.push_back({"100000000001/" + root, {root}, {}});
    made_->modules["100000000001/" + root + "/policy.rego"] = {
        contents_.put(policy), 1, false, static_cast<uint16_t>(made_->ledgers.size() - 1)};
    return *this;
  }
  // Adds a document to the latest ledger.
  SnapshotBuilder& document(std::vector<std::string> mount, const Bytes& json) {
    std::string key = "data";
    for (const auto& each : mount) key += "/" + each;
    made_->documents[key] = {std::move(mount), contents_.put(json), DocumentFormat::kJson,
                             json.size(), static_cast<uint16_t>(made_->ledgers.size() - 1)};
    return *this;
  }
  SnapshotBuilder& system(std::string json) {
    made_->system = std::move(json);
    return *this;
  }
  SnapshotPtr make() const { return std::make_shared<Snapshot>(*made_); }

 private:
  ContentShelf& contents_;
  std::shared_ptr<Snapshot> made_ = std::make_shared<Snapshot>();
};

class EngineHost {
 public:
  explicit EngineHost(EngineOptions options = {}) {
    if (options.worker.empty()) options.worker = worker_program();
    engine = std::make_unique<Engine>(context_.get_executor(), pool_, options,
                                      [this](QuarantineNotice notice) {
                                        const std::scoped_lock lock(mutex_);
                                        notices_.push_back(std::move(notice));
                                      });
  }
  ~EngineHost() {
    engine.reset();
    work_.reset();
    context_.stop();
    thread_.join();
    pool_.join();
  }

  std::future<Result<Decision>> begin(Question question, uint64_t* ticket = nullptr) {
    auto promise = std::make_shared<std::promise<Result<Decision>>>();
    const uint64_t number = engine->evaluate(
        std::move(question),
        [promise](Result<Decision> decision) { promise->set_value(std::move(decision)); });
    if (ticket != nullptr) *ticket = number;
    return promise->get_future();
  }
  Result<Decision> ask(std::vector<std::string> path, Bytes input = "{}", std::string caller = {}) {
    return begin(Question{std::move(path), {std::move(input)}, std::move(caller)}).get();
  }
  // The JSON; "undefined"; or the error's code and message.
  std::string value(std::vector<std::string> path, Bytes input = "{}") {
    const auto decision = ask(std::move(path), std::move(input));
    if (!decision) return std::string(error_traits(decision.error().code).name);
    const auto& evaluation = decision->evaluations.at(0);
    if (!evaluation) return std::string(error_traits(evaluation.error().code).name);
    return evaluation->value.value_or("undefined");
  }
  std::future<Result<void>> begin_activate(SnapshotPtr snapshot) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    engine->activate(std::move(snapshot),
                     [promise](Result<void> result) { promise->set_value(std::move(result)); });
    return promise->get_future();
  }
  Result<void> activate(SnapshotPtr snapshot) { return begin_activate(std::move(snapshot)).get(); }
  std::vector<QuarantineNotice> notices() {
    const std::scoped_lock lock(mutex_);
    return notices_;
  }

 private:
  std::mutex mutex_;
  std::vector<QuarantineNotice> notices_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
  boost::asio::thread_pool pool_{2};
  std::thread thread_{[this] { context_.run(); }};

 public:
  std::unique_ptr<Engine> engine;
};

}  // namespace notp::rego
