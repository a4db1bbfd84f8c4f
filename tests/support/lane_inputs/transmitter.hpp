// A transmitter of the Shared Signals Framework over real HTTP on this machine: as Keycloak
// answers, and with what a test lets it do wrong.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/mutex.hpp"
#include "tests/support/lane_inputs/set_signer.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp::lane_inputs {

// Thread-safe. One client, with one stream.
class TestTransmitter {
 public:
  TestTransmitter() : host_([this](const http::Request& request) { return answer(request); }) {}

  std::string base() const { return fmt::format("http://127.0.0.1:{}", host_.server->port()); }
  std::string issuer() const { return base() + "/realms/shop"; }
  std::string poll_url() const { return base() + "/poll"; }
  const SetSigner& signer() const { return signer_; }

  // --- events

  json::object claims(const std::string& type, json::value subject, const std::string& jti,
                      json::object payload = {}) const {
    json::object out =
        set_claims(type, std::move(subject), std::move(payload), jti, read_clock().wall_ms);
    out["iss"] = issuer();
    out["aud"] = kAudience;
    return out;
  }
  json::object subject(std::string_view sub) const { return iss_sub(sub, issuer()); }
  std::string logout(const std::string& jti, std::string_view sub = "ana") const {
    return signer_.sign(claims(kCaep + "session-revoked", subject(sub), jti));
  }
  // Waits there until it is acknowledged.
  void queue(const std::string& jti, std::string token) {
    const MutexLock lock(mutex_);
    queue_[jti] = std::move(token);
  }
  size_t waiting() const {
    const MutexLock lock(mutex_);
    return queue_.size();
  }
  // "jti code" of each refusal that was reported.
  std::vector<std::string> errors() const {
    const MutexLock lock(mutex_);
    return errors_;
  }
  size_t polls() const {
    const MutexLock lock(mutex_);
    return polls_;
  }

  // --- what it does wrong

  // The next polls are answered so, one each.
  void misbehave(std::vector<http::Response> answers) {
    const MutexLock lock(mutex_);
    wrong_.assign(answers.begin(), answers.end());
  }
  size_t misbehaviours() const {
    const MutexLock lock(mutex_);
    return wrong_.size();
  }
  // Acknowledged events stay.
  void forget_acks() {
    const MutexLock lock(mutex_);
    keeps_ = true;
  }
  // Every other request but for metadata and tokens is answered with this status; 0: properly.
  void denies(unsigned status) {
    const MutexLock lock(mutex_);
    denied_ = status;
  }
  void set_status(std::string status) {
    const MutexLock lock(mutex_);
    status_ = std::move(status);
  }
  std::string status() const {
    const MutexLock lock(mutex_);
    return status_;
  }
  void verifies(bool verifies) {
    const MutexLock lock(mutex_);
    is_verifying_ = verifies;
  }
  // As if an administrator had removed it.
  void remove_stream() {
    const MutexLock lock(mutex_);
    stream_.reset();
  }
  void has_stream(json::object stream) {
    const MutexLock lock(mutex_);
    stream_ = std::move(stream);
  }
  // The stream as it is; null: there is none.
  json::value stream() const {
    const MutexLock lock(mutex_);
    return stream_ ? json::value(*stream_) : json::value();
  }
  // Requests by method and path.
  size_t requests(const std::string& what) const {
    const MutexLock lock(mutex_);
    const auto found = requests_.find(what);
    return found == requests_.end() ? 0 : found->second;
  }

 private:
  static http::Response json_answer(unsigned status, const json::value& body) {
    http::Response out;
    out.status = status;
    out.body = json::serialize(body);
    return out;
  }
  static http::Response empty_answer(unsigned status) {
    http::Response out;
    out.status = status;
    return out;
  }

  boost::asio::awaitable<http::Response> answer(const http::Request& request) {
    const MutexLock lock(mutex_);
    ++requests_[request.method + " " + request.path];
    co_return dispatch(request);
  }

  http::Response dispatch(const http::Request& request) NOTP_REQUIRES(mutex_) {
    if (request.path == "/realms/shop/.well-known/ssf-configuration")
      return json_answer(200, {{"spec_version", "1_0"},
                               {"issuer", issuer()},
                               {"jwks_uri", issuer() + "/keys"},
                               {"delivery_methods_supported",
                                json::array{"urn:ietf:rfc:8935", "urn:ietf:rfc:8936"}},
                               {"configuration_endpoint", base() + "/streams"},
                               {"status_endpoint", base() + "/streams/status"},
                               {"verification_endpoint", base() + "/verify"},
                               {"default_subjects", "ALL"}});
    if (request.path == "/token")
      return json_answer(200,
                         {{"access_token", "tok"}, {"token_type", "Bearer"}, {"expires_in", 60}});
    if (request.path == "/poll" && !wrong_.empty()) {
      http::Response out = std::move(wrong_.front());
      wrong_.pop_front();
      return out;
    }
    if (denied_ != 0) return empty_answer(denied_);
    if (request.header("Authorization") != "Bearer tok") return empty_answer(401);
    if (request.path == "/streams") return on_streams(request);
    if (request.path == "/poll") return on_poll(request);
    if (request.path != "/streams/status" && request.path != "/verify") return empty_answer(404);
    if (!stream_) return empty_answer(404);
    if (request.path == "/verify") return on_verify(request);
    if (request.method == "POST") status_ = must_text(request, "status");
    return json_answer(200, {{"stream_id", "s-1"}, {"status", status_}, {"reason", "maintenance"}});
  }

  static std::string must_text(const http::Request& request, const char* member) {
    return std::string(parse_json(request.body).value().at(member).as_string());
  }

  http::Response on_streams(const http::Request& request) NOTP_REQUIRES(mutex_) {
    if (request.method == "GET")
      return json_answer(200, stream_ ? json::array{*stream_} : json::array());
    const json::object asked = parse_json(request.body).value().as_object();
    if (request.method == "PATCH") {
      for (const auto& member : asked) (*stream_)[member.key()] = member.value();
      return json_answer(200, *stream_);
    }
    if (stream_) return empty_answer(409);
    json::object made = asked;
    made["stream_id"] = "s-1";
    made["iss"] = issuer();
    made["aud"] = json::array{kAudience};
    made["events_delivered"] = json::array{kCaep + "session-revoked", kCaep + "credential-change"};
    json::object& delivery = made["delivery"].as_object();
    if (!delivery.contains("endpoint_url")) delivery["endpoint_url"] = poll_url();
    stream_ = std::move(made);
    status_ = "enabled";
    return json_answer(201, *stream_);
  }

  http::Response on_verify(const http::Request& request) NOTP_REQUIRES(mutex_) {
    if (is_verifying_) {
      const std::string jti = fmt::format("verification-{}", ++verifications_);
      queue_[jti] = signer_.sign(claims(kSsf + "verification", opaque("s-1"), jti,
                                        {{"state", must_text(request, "state")}}));
    }
    return empty_answer(204);
  }

  http::Response on_poll(const http::Request& request) NOTP_REQUIRES(mutex_) {
    ++polls_;
    const json::object asked = parse_json(request.body).value().as_object();
    if (const json::value* acks = asked.if_contains("ack"); acks && !keeps_)
      for (const json::value& jti : acks->as_array()) queue_.erase(std::string(jti.as_string()));
    if (const json::value* errors = asked.if_contains("setErrs"))
      for (const auto& error : errors->as_object()) {
        errors_.push_back(fmt::format("{} {}", std::string_view(error.key()),
                                      std::string_view(error.value().at("err").as_string())));
        queue_.erase(std::string(error.key()));
      }
    json::object sets;
    for (const auto& [jti, token] : queue_) sets[jti] = token;
    return json_answer(200, {{"sets", std::move(sets)}, {"moreAvailable", false}});
  }

  mutable Mutex mutex_;
  const SetSigner signer_;
  std::map<std::string, std::string> queue_ NOTP_GUARDED_BY(mutex_);
  std::vector<std::string> errors_ NOTP_GUARDED_BY(mutex_);
  std::map<std::string, size_t> requests_ NOTP_GUARDED_BY(mutex_);
  std::deque<http::Response> wrong_ NOTP_GUARDED_BY(mutex_);
  std::optional<json::object> stream_ NOTP_GUARDED_BY(mutex_);
  std::string status_ NOTP_GUARDED_BY(mutex_) = "enabled";
  unsigned denied_ NOTP_GUARDED_BY(mutex_) = 0;
  bool keeps_ NOTP_GUARDED_BY(mutex_) = false;
  bool is_verifying_ NOTP_GUARDED_BY(mutex_) = true;
  size_t polls_ NOTP_GUARDED_BY(mutex_) = 0;
  size_t verifications_ NOTP_GUARDED_BY(mutex_) = 0;
  HttpHost host_;
};

}  // namespace notp::lane_inputs
