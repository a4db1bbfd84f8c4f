#include "notp-server/lane_inputs/set_push_source.hpp"

#include <atomic>
#include <utility>

#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/push_access.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {

namespace asio = boost::asio;

namespace {

constexpr unsigned kAccepted = 202;

class SetReceiver final : public PushReceiver {
 public:
  SetReceiver(SenderTerms terms, std::shared_ptr<SetTaker> taker,
              std::shared_ptr<SourceStats> stats)
      : terms_(std::move(terms)), taker_(std::move(taker)), stats_(std::move(stats)) {}

  PushFit fit(const PushRequest& request) const override {
    if (!request.token || !request.token->has_value()) return PushFit::kNo;
    if (claim_text(**request.token, "iss") != taker_->issuer()) return PushFit::kNo;
    return taker_->expects_audience_of(**request.token) ? PushFit::kWhole : PushFit::kPartly;
  }

  asio::awaitable<http::Response> receive(const PushRequest& request) override {
    if (media_type_of(request.http) != "application/secevent+jwt")
      co_return set_error("invalid_request", "the Content-Type is not application/secevent+jwt");
    if (auto sender = check_sender(request.http, terms_); !sender) {
      if (sender.error().code != ErrorCode::kDenied)
        co_return try_again(sender.error(), kKeyRetryAfterS);
      stats_->refused(refuse("set.sender", sender.error().message).error());
      co_return set_error(
          terms_.authorization_file.empty() ? "access_denied" : "authentication_failed",
          sender.error().message);
    }
    const PushPlace place(waiting_);
    if (!place.is_free())
      co_return try_again({ErrorCode::kOverloaded, "too many requests of this source wait", {}},
                          kRetryAfterS);
    const auto outcomes = co_await taker_->take({*request.token});
    co_return answer(outcomes.front());
  }

 private:
  http::Response answer(const SetOutcome& outcome) {
    const Now now = read_clock();
    if (outcome.is_refused())
      return set_error(set_error_code(*outcome.error), outcome.error->message);
    if (outcome.error) {
      // A stranger can make up kids: they say nothing of the source.
      if (outcome.error->code != ErrorCode::kCancelled && !outcome.awaits_key)
        stats_->failed(*outcome.error, now);
      return try_again(*outcome.error, outcome.error->code == ErrorCode::kOverloaded
                                           ? kRetryAfterS
                                           : kKeyRetryAfterS);
    }
    stats_->succeeded(now);
    http::Response out;
    out.status = kAccepted;
    return out;
  }

  const SenderTerms terms_;
  const std::shared_ptr<SetTaker> taker_;
  const std::shared_ptr<SourceStats> stats_;
  std::atomic<size_t> waiting_ = 0;
};

class SetPushSource final : public lane::LaneSource {
 public:
  SetPushSource(const SourceConfig& config, const SourceParts& parts)
      : SetPushSource(dynamic_cast<const SetPushTerms&>(*config.terms), config, parts) {}
  ~SetPushSource() override { stop(); }
  SetPushSource(const SetPushSource&) = delete;
  SetPushSource& operator=(const SetPushSource&) = delete;

  void start() override { routes_.add(lane_, PushForm::kSets, receiver_); }
  void stop() override {
    routes_.remove(receiver_);
    taker_->close();
  }
  lane::SourceState state() const override { return stats_->state(read_clock()); }

 private:
  SetPushSource(const SetPushTerms& terms, const SourceConfig& config, const SourceParts& parts)
      : lane_(parts.lane),
        routes_(*parts.routes),
        stats_(std::make_shared<SourceStats>(parts.lane, config.name, config.kind, kSetTells,
                                             Contact::kPassive)),
        taker_(std::make_shared<SetTaker>(terms.rules, parts, config.name, stats_)),
        receiver_(make_set_receiver(terms.sender, taker_, stats_)) {}

  const std::string lane_;
  PushRoutes& routes_;
  const std::shared_ptr<SourceStats> stats_;
  const std::shared_ptr<SetTaker> taker_;
  const std::shared_ptr<PushReceiver> receiver_;
};

}  // namespace

std::shared_ptr<PushReceiver> make_set_receiver(const SenderTerms& terms,
                                                std::shared_ptr<SetTaker> taker,
                                                std::shared_ptr<SourceStats> stats) {
  return std::make_shared<SetReceiver>(terms, std::move(taker), std::move(stats));
}

Result<std::unique_ptr<lane::LaneSource>> make_set_push_source(const SourceConfig& config,
                                                               const SourceParts& parts) {
  if (parts.routes == nullptr)
    return fail(ErrorCode::kConfig,
                "it receives requests: lanes.listen says at which address; there is none");
  return std::make_unique<SetPushSource>(config, parts);
}

}  // namespace notp::lane_inputs
