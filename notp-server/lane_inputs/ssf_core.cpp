#include "notp-server/lane_inputs/ssf_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/percent.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/remote_client.hpp"

namespace notp::lane_inputs {
namespace {

constexpr unsigned kOk = 200, kNotFound = 404, kConflict = 409, kTooMany = 429, kClass = 100,
                   kSuccess = 2;

bool is_success(const http::Response& response) { return response.status / kClass == kSuccess; }

std::string query_of(std::string_view id) { return "stream_id=" + percent_encode(id); }

std::string with_query(const std::string& url, const std::string& query) {
  return fmt::format("{}{}{}", url, url.contains('?') ? '&' : '?', query);
}

}  // namespace

SsfCore::SsfCore(TransmitterRules rules, std::string audience, std::string description,
                 Random& random, TimeMs boot_ms)
    : rules_(std::move(rules)),
      audience_(std::move(audience)),
      description_(std::move(description)),
      random_(random),
      due_ms_(boot_ms) {}

void SsfCore::go_on(Step step, TimeMs due_ms) {
  step_ = step;
  due_ms_ = due_ms;
}

void SsfCore::retry(Step step, Error error, TimeMs boot_ms, TimeMs after_ms) {
  constexpr int kDoublingsMax = 10;
  const TimeMs most_ms =
      std::min(kPollRetryMs << std::min(failures_, kDoublingsMax), kPollRetryMsMax);
  ++failures_;
  trouble_ = std::move(error);
  const auto half = static_cast<uint64_t>(most_ms / 2);
  const TimeMs wait_ms = most_ms - static_cast<TimeMs>(random_.below(half + 1));
  go_on(step, boot_ms + std::max(wait_ms, std::min(after_ms, kPollRetryMsMax)));
}

// Nothing is wrong: looks again after a while.
void SsfCore::watch(TimeMs boot_ms) {
  failures_ = 0;
  const bool verifies = !transmitter_->verification_endpoint.empty();
  const TimeMs look_ms = boot_ms + kStreamCheckMs;
  if (verification_) return go_on(Step::kStatus, verification_->until_ms);
  if (verifies && verify_ms_ <= look_ms) return go_on(Step::kVerify, verify_ms_);
  go_on(Step::kStatus, look_ms);
}

// --- orders

SsfOrder SsfCore::begin(const std::string& authorization, TimeMs boot_ms) {
  if (verification_ && boot_ms >= verification_->until_ms) {
    verification_.reset();
    is_verified_ = false;
    trouble_ = Error{
        ErrorCode::kTimeout,
        rules_.is_push
            ? fmt::format("no verification event arrived within {} s: the transmitter does not "
                          "reach push_url {}",
                          kVerificationMs / 1'000, rules_.push_url)
            : fmt::format("no verification event arrived within {} s", kVerificationMs / 1'000),
        {}};
    verify_ms_ = boot_ms + kStreamCheckMs;
  }
  due_ms_ = kNever;
  http::Call call = call_of(authorization);
  call.headers.emplace_back("Accept", "application/json");
  if (!call.body.empty()) call.headers.emplace_back("Content-Type", "application/json");
  call.deadline_ms = kStreamCallMs;
  call.answer_bytes_max = kStreamAnswerBytesMax;
  return {.call = std::move(call), .is_public = step_ == Step::kDiscover};
}

http::Call SsfCore::call_of(const std::string& authorization) {
  switch (step_) {
    case Step::kDiscover:
      return {.url = transmitter_urls(rules_.issuer)[place_]};
    case Step::kList:
      return {.url = transmitter_->configuration_endpoint};
    case Step::kCreate:
      return {.method = "POST",
              .url = transmitter_->configuration_endpoint,
              .headers = {},
              .body = create_request(rules_, description_, authorization)};
    case Step::kUpdate:
      return {.method = "PATCH",
              .url = transmitter_->configuration_endpoint,
              .headers = {},
              .body = update_request(*stream_, rules_, authorization)};
    case Step::kVerify:
      verification_ = {.state = fmt::format("{:016x}", random_.next_u64()), .until_ms = kNever};
      return {.method = "POST",
              .url = transmitter_->verification_endpoint,
              .headers = {},
              .body = verification_request(*stream_, verification_->state)};
    case Step::kStatus:
      // Without a place for its status, whether it is there says as much.
      return {.url = with_query(transmitter_->status_endpoint.empty()
                                    ? transmitter_->configuration_endpoint
                                    : transmitter_->status_endpoint,
                                query_of(stream_->id))};
    case Step::kEnable:
      return {.method = "POST",
              .url = transmitter_->status_endpoint,
              .headers = {},
              .body = enable_request(*stream_)};
  }
  return {};
}

void SsfCore::answered(const Result<http::Response>& response, TimeMs boot_ms) {
  if (!response) {
    if (step_ == Step::kVerify) verification_.reset();
    return retry(step_, response.error(), boot_ms);
  }
  switch (step_) {
    case Step::kDiscover:
      return on_discovered(*response, boot_ms);
    case Step::kList:
      return on_listed(*response, boot_ms);
    case Step::kCreate:
      return on_created(*response, boot_ms);
    case Step::kUpdate:
      // It delivers what it was asked for before, which is better than nothing.
      if (!is_success(*response)) trouble_ = status_error("PATCH of the stream", *response);
      return go_on(Step::kStatus, boot_ms);
    case Step::kVerify:
      return on_verification_asked(*response, boot_ms);
    case Step::kStatus:
      return on_status(*response, boot_ms);
    case Step::kEnable:
      // The next look says what came of it.
      return go_on(Step::kStatus, boot_ms + kStreamCheckMs);
  }
}

// --- answers

void SsfCore::on_discovered(const http::Response& response, TimeMs boot_ms) {
  const size_t places = transmitter_urls(rules_.issuer).size();
  if (response.status != kOk) {
    const bool is_last = place_ + 1 >= places;
    place_ = is_last ? 0 : place_ + 1;
    if (!is_last) return go_on(Step::kDiscover, boot_ms);
    return retry(Step::kDiscover, status_error("GET .well-known/ssf-configuration", response),
                 boot_ms, retry_after_ms(response));
  }
  auto transmitter = read_transmitter(response.content(), rules_);
  place_ = 0;
  if (!transmitter)
    return retry(Step::kDiscover, std::move(transmitter).error().in("its metadata"), boot_ms);
  transmitter_ = *std::move(transmitter);
  go_on(Step::kList, boot_ms);
}

void SsfCore::on_listed(const http::Response& response, TimeMs boot_ms) {
  // Some have nothing to list: RFC 9110 §15.5.5.
  if (response.status == kNotFound) return go_on(Step::kCreate, boot_ms);
  if (response.status != kOk) {
    // It may have moved.
    Error error = status_error("GET of the streams", response);
    return retry(Step::kDiscover, std::move(error), boot_ms, retry_after_ms(response));
  }
  const auto streams = read_streams(response.content(), rules_);
  if (!streams) return retry(Step::kDiscover, streams.error(), boot_ms);
  const SsfStream* const fitting = fitting_stream(*streams, rules_);
  if (fitting == nullptr) return go_on(Step::kCreate, boot_ms);
  // What it is to send with a push may have changed since.
  use(*fitting, rules_.is_push || wants_other_events(*fitting, rules_), boot_ms);
}

void SsfCore::on_created(const http::Response& response, TimeMs boot_ms) {
  if (response.status == kConflict)
    return retry(Step::kList,
                 {ErrorCode::kConflict,
                  "the transmitter has a stream for this client that delivers otherwise, and "
                  "allows no second one; delete it there, or use a client of its own for this "
                  "source",
                  {}},
                 boot_ms);
  if (!is_success(response))
    return retry(Step::kList, status_error("POST of a stream", response), boot_ms,
                 retry_after_ms(response));
  auto stream = read_stream(response.content(), rules_);
  if (!stream) return retry(Step::kList, std::move(stream).error(), boot_ms);
  if (fitting_stream({&*stream, 1}, rules_) == nullptr)
    return retry(
        Step::kList,
        {ErrorCode::kMessage, "the transmitter made another stream than was asked for", {}},
        boot_ms);
  use(*std::move(stream), false, boot_ms);
}

void SsfCore::use(SsfStream stream, bool is_update, TimeMs boot_ms) {
  const auto& audiences = stream.audiences;
  if (audience_.empty()
          ? audiences.empty()
          : !audiences.empty() && std::ranges::find(audiences, audience_) == audiences.end())
    return retry(Step::kList,
                 {ErrorCode::kWrongTarget,
                  fmt::format("the stream is for {}; 'audience' of the source is to be that",
                              audiences.empty() ? "an audience that the transmitter does not name"
                                                : printable(audiences.front())),
                  {}},
                 boot_ms);
  stream_ = std::move(stream);
  ++generation_;
  trouble_.reset();
  failures_ = 0;
  is_verified_ = false;
  verification_.reset();
  verify_ms_ = boot_ms;
  go_on(is_update ? Step::kUpdate : Step::kStatus, boot_ms);
}

void SsfCore::on_verification_asked(const http::Response& response, TimeMs boot_ms) {
  if (response.status == kNotFound) return stream_gone(boot_ms);
  if (is_success(response)) {
    // The event may have come before this answer.
    if (verification_) verification_->until_ms = boot_ms + kVerificationMs;
    return watch(boot_ms);
  }
  verification_.reset();
  verify_ms_ = boot_ms + std::max(kStreamCheckMs, retry_after_ms(response));
  // SSF 1.0 §8.1.4.2: not more often than the transmitter likes.
  if (response.status != kTooMany) trouble_ = status_error("POST of a verification", response);
  watch(boot_ms);
}

void SsfCore::on_status(const http::Response& response, TimeMs boot_ms) {
  if (response.status == kNotFound) return stream_gone(boot_ms);
  if (response.status != kOk)
    return retry(Step::kStatus, status_error("GET of the stream's status", response), boot_ms,
                 retry_after_ms(response));
  if (!transmitter_->status_endpoint.empty()) {
    const auto status = read_status(response.content());
    if (!status) return retry(Step::kStatus, status.error(), boot_ms);
    if (status->status != "enabled") {
      trouble_ =
          Error{ErrorCode::kUnavailable,
                fmt::format("the stream is {} at the transmitter{}{}", printable(status->status),
                            status->reason.empty() ? "" : ": ", status->reason),
                {}};
      return go_on(Step::kEnable, boot_ms);
    }
  }
  // Of what is still wrong, the next verification says it again.
  const bool is_unverified = trouble_ && trouble_->code == ErrorCode::kTimeout && !is_verified_;
  if (!is_unverified) trouble_.reset();
  watch(boot_ms);
}

bool SsfCore::adds_subjects() const {
  if (stream_ && !stream_->default_subjects.empty()) return stream_->default_subjects == "NONE";
  return transmitter_ && transmitter_->adds_subjects;
}

// --- other events

void SsfCore::on_event(const SecurityEvent& event, TimeMs boot_ms) {
  if (event.effect == EventEffect::kStreamUpdated && stream_ && due_ms_ != kNever)
    return go_on(Step::kStatus, boot_ms);
  // A transmitter verifies by itself, too, with a state that nobody asked for.
  if (event.effect != EventEffect::kVerification || !verification_ ||
      event.state != verification_->state)
    return;
  verification_.reset();
  is_verified_ = true;
  verify_ms_ = boot_ms + kVerifyAgainMs;
  trouble_.reset();
  if (stream_ && due_ms_ != kNever) watch(boot_ms);
}

void SsfCore::stream_gone(TimeMs boot_ms) {
  stream_.reset();
  verification_.reset();
  is_verified_ = false;
  retry(Step::kList,
        {ErrorCode::kNotFound, "the stream has gone at the transmitter; it is made again", {}},
        boot_ms);
}

}  // namespace notp::lane_inputs
