#include "common/systemd/heartbeat.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <utility>

#include "common/log.hpp"

namespace notp::systemd {

namespace asio = boost::asio;
using std::chrono::microseconds;
using std::chrono::milliseconds;

class Heartbeat::State : public std::enable_shared_from_this<State> {
 public:
  State(asio::any_io_executor executor, Notifier& notifier, std::vector<Loop> loops,
        std::function<std::string()> status)
      : executor_(executor),
        notifier_(notifier),
        loops_(std::move(loops)),
        status_(std::move(status)),
        beat_(executor),
        soon_(executor) {}

  void start() {
    if (!notifier_.is_connected()) return;
    is_running_ = true;
    beat();
  }

  void changed() {
    if (!is_running_ || std::exchange(is_due_, true)) return;
    soon_.expires_after(milliseconds(kStatusSoonMs));
    soon_.async_wait([self = weak_from_this()](boost::system::error_code error) {
      const auto state = self.lock();
      if (!error && state && state->is_running_) state->tell();
    });
  }

  void stop() {
    is_running_ = false;
    beat_.cancel();
    soon_.cancel();
  }

 private:
  microseconds interval() const {
    const microseconds seldom = milliseconds(kStatusMs);
    return notifier_.watchdog() ? std::min(*notifier_.watchdog() / 2, seldom) : seldom;
  }

  void tell() {
    is_due_ = false;
    notifier_.status(status_());
  }

  void beat() {
    tell();
    if (notifier_.watchdog()) look();
    beat_.expires_after(interval());
    beat_.async_wait([self = weak_from_this()](boost::system::error_code error) {
      const auto state = self.lock();
      if (!error && state && state->is_running_) state->beat();
    });
  }

  // Loops that have not answered are not asked again.
  void look() {
    for (auto& [loop, is_logged] : silent_)
      if (!std::exchange(is_logged, true))
        log::warn("loop_silent", {{"loop", loops_[loop].name},
                                  {"message",
                                   "it does not run tasks; the service manager will end "
                                   "this process if that lasts"}});
    if (!silent_.empty()) return;
    for (size_t i = 0; i < loops_.size(); ++i) {
      silent_.emplace(i, /*is_logged=*/false);
      asio::post(loops_[i].executor, [self = weak_from_this(), home = executor_, i] {
        asio::post(home, [self, i] {
          if (const auto state = self.lock()) state->answered(i);
        });
      });
    }
    if (loops_.empty()) notifier_.alive();
  }

  void answered(size_t loop) {
    silent_.erase(loop);
    if (silent_.empty() && is_running_) notifier_.alive();
  }

  const asio::any_io_executor executor_;
  Notifier& notifier_;
  const std::vector<Loop> loops_;
  const std::function<std::string()> status_;
  asio::steady_timer beat_, soon_;
  std::map<size_t, bool> silent_;  // loops that have not answered, and whether that is logged
  bool is_running_ = false;
  bool is_due_ = false;  // soon_ runs
};

Heartbeat::Heartbeat(asio::any_io_executor executor, Notifier& notifier, std::vector<Loop> loops,
                     std::function<std::string()> status)
    : state_(std::make_shared<State>(std::move(executor), notifier, std::move(loops),
                                     std::move(status))) {}

Heartbeat::~Heartbeat() { stop(); }

void Heartbeat::start() { state_->start(); }
void Heartbeat::changed() { state_->changed(); }
void Heartbeat::stop() { state_->stop(); }

}  // namespace notp::systemd
