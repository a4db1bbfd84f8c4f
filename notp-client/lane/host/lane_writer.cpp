#include "notp-client/lane/host/lane_writer.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "common/log.hpp"

namespace notp::lane {

LaneWriter::LaneWriter(std::unique_ptr<LaneStore> store, Done done)
    : store_(std::move(store)), done_(std::move(done)) {}

LaneWriter::~LaneWriter() { stop(); }

void LaneWriter::stop() { thread_.join(); }

void LaneWriter::add(effect::Take take) {
  const MutexLock lock(mutex_);
  waiting_.push_back(std::move(take));
  if (std::exchange(is_running_, true)) return;
  boost::asio::post(thread_, [this] { run(); });
}

void LaneWriter::run() {
  for (;;) {
    std::vector<effect::Take> taken;
    {
      const MutexLock lock(mutex_);
      taken.swap(waiting_);
      if (taken.empty()) {
        is_running_ = false;
        return;
      }
    }
    auto written = store_->write(taken);
    if (!written && written.error().code == ErrorCode::kCorrupt) {
      if (const auto begun = store_->set_aside(written.error()); !begun)
        log::write(log::Level::kError, "lane_store_not_begun", begun.error());
    }
    done_(taken.back().number, std::move(written));
  }
}

void LaneWriter::expire(int64_t now_s) {
  boost::asio::post(thread_, [this, now_s] { run_expiry(now_s); });
}

void LaneWriter::run_expiry(int64_t now_s) {
  const auto more = store_->expire(now_s);
  if (!more)
    log::write(log::Level::kWarn, "lane_not_swept", more.error());
  else if (*more)
    boost::asio::post(thread_, [this, now_s] { run_expiry(now_s); });
}

}  // namespace notp::lane
