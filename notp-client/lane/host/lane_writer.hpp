// Writes what the lane takes into its store, on the store's own thread: all that waits in one
// transaction, so that a slow disk costs time and no throughput.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "common/mutex.hpp"
#include "notp-client/lane/store/lane_store.hpp"

namespace notp::lane {

class LaneWriter {
 public:
  // Called on the store's thread: everything up to this number is durable, or it is not.
  using Done = std::function<void(uint64_t number, Result<void> outcome)>;

  LaneWriter(std::unique_ptr<LaneStore> store, Done done);
  // Waits for what was added.
  ~LaneWriter();
  LaneWriter(const LaneWriter&) = delete;
  LaneWriter& operator=(const LaneWriter&) = delete;

  // One thread. In the order of their numbers.
  void add(effect::Take take);
  // Removes what has ended, soon.
  void expire(int64_t now_s);
  // Waits until all is written. Nothing is added afterwards.
  void stop();

 private:
  void run();
  void run_expiry(int64_t now_s);

  const std::unique_ptr<LaneStore> store_;  // on its thread
  const Done done_;
  Mutex mutex_;
  std::vector<effect::Take> waiting_ NOTP_GUARDED_BY(mutex_);
  bool is_running_ NOTP_GUARDED_BY(mutex_) = false;
  boost::asio::thread_pool thread_{1};  // ends first
};

}  // namespace notp::lane
