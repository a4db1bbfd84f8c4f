#include "notp-server/lane_inputs/set_poll_source.hpp"

#include <utility>

#include "notp-server/lane_inputs/event_config.hpp"
#include "notp-server/lane_inputs/poller.hpp"
#include "notp-server/lane_inputs/source_thread.hpp"

namespace notp::lane_inputs {

namespace asio = boost::asio;

namespace {

class SetPollSource final : public lane::LaneSource {
 public:
  SetPollSource(const SetPollTerms& terms, const SourceConfig& config, const SourceParts& parts,
                RemoteClient client)
      : stats_(std::make_shared<SourceStats>(parts.lane, config.name, config.kind, kSetTells,
                                             Contact::kActive)),
        taker_(terms.rules, parts, config.name, stats_),
        client_(std::move(client)),
        poller_(terms.url, terms.interval_ms, client_, taker_, *stats_) {}
  ~SetPollSource() override { stop(); }
  SetPollSource(const SetPollSource&) = delete;
  SetPollSource& operator=(const SetPollSource&) = delete;

  void start() override {
    thread_.start([this] { return run(); });
  }
  void stop() override {
    taker_.close();
    thread_.stop();
  }
  lane::SourceState state() const override { return stats_->state(read_clock()); }

 private:
  asio::awaitable<void> run() {
    Wakeup wakeup(thread_.context());
    while (true) {
      if (read_clock().boot_ms < poller_.next_deadline())
        co_await wakeup.wait_until(poller_.next_deadline());
      else
        static_cast<void>(co_await poller_.poll_once());
    }
  }

  const std::shared_ptr<SourceStats> stats_;
  SetTaker taker_;
  RemoteClient client_;
  Poller poller_;
  SourceThread thread_;
};

}  // namespace

Result<std::unique_ptr<lane::LaneSource>> make_set_poll_source(const SourceConfig& config,
                                                               const SourceParts& parts) {
  const auto& terms = dynamic_cast<const SetPollTerms&>(*config.terms);
  NOTP_ASSIGN(RemoteClient client,
              RemoteClient::open(terms.remote, terms.rules.issuer, parts.environment));
  return std::make_unique<SetPollSource>(terms, config, parts, std::move(client));
}

}  // namespace notp::lane_inputs
