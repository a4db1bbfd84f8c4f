// Makes and watches the stream of one transmitter of the Shared Signals Framework 1.0. A core: its
// host makes the calls and fetches the events.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/http/client.hpp"
#include "common/random.hpp"
#include "notp-server/lane_inputs/security_event.hpp"
#include "notp-server/lane_inputs/ssf_documents.hpp"

namespace notp::lane_inputs {

// One request to the transmitter.
struct SsfOrder {
  http::Call call;
  bool is_public = false;  // without an access token
};

// One thread. One order is under way at a time.
class SsfCore {
 public:
  // `random` outlives it. `audience`: what the stream's aud must have; empty: whatever it has.
  // `description` is what people see of the stream at the transmitter.
  SsfCore(TransmitterRules rules, std::string audience, std::string description, Random& random,
          TimeMs boot_ms);

  // Boot time of the next order; kNever while one is under way.
  TimeMs next_deadline() const { return due_ms_; }
  // The order that is due; answered() follows. `authorization`: what the transmitter is to send
  // with a push; empty: nothing.
  SsfOrder begin(const std::string& authorization, TimeMs boot_ms);
  // The end of an order. A redirect is an error as any other status.
  void answered(const Result<http::Response>& response, TimeMs boot_ms);
  // A verified event about the stream.
  void on_event(const SecurityEvent& event, TimeMs boot_ms);
  // The place of the stream's events does not know it.
  void stream_gone(TimeMs boot_ms);

  // nullptr: there is none yet, or it is looked for again.
  const SsfStream* stream() const { return stream_ ? &*stream_ : nullptr; }
  // Grows with each stream that is found or made.
  uint64_t generation() const { return generation_; }
  // Why nothing arrives; nullopt: nothing is wrong.
  const std::optional<Error>& trouble() const { return trouble_; }
  // By what the transmitter says, it sends events of subjects alone that were added there.
  bool adds_subjects() const;
  bool is_verified() const { return is_verified_; }

 private:
  enum class Step : uint8_t { kDiscover, kList, kCreate, kUpdate, kVerify, kStatus, kEnable };

  http::Call call_of(const std::string& authorization);
  void on_discovered(const http::Response& response, TimeMs boot_ms);
  void on_listed(const http::Response& response, TimeMs boot_ms);
  void on_created(const http::Response& response, TimeMs boot_ms);
  void on_verification_asked(const http::Response& response, TimeMs boot_ms);
  void on_status(const http::Response& response, TimeMs boot_ms);
  void use(SsfStream stream, bool is_update, TimeMs boot_ms);
  void go_on(Step step, TimeMs due_ms);
  // Tries the step again, or another one, later and later.
  void retry(Step step, Error error, TimeMs boot_ms, TimeMs after_ms = 0);
  void watch(TimeMs boot_ms);

  const TransmitterRules rules_;
  const std::string audience_, description_;
  Random& random_;
  Step step_ = Step::kDiscover;
  TimeMs due_ms_;
  std::optional<Transmitter> transmitter_;
  std::optional<SsfStream> stream_;
  std::optional<Error> trouble_;
  uint64_t generation_ = 0;
  size_t place_ = 0;  // of the metadata
  int failures_ = 0;  // in a row
  // A verification that is under way: its state, and the boot time at which it is given up.
  struct Verification {
    std::string state;
    TimeMs until_ms = 0;
  };
  std::optional<Verification> verification_;
  TimeMs verify_ms_ = 0;  // boot time of the next one
  bool is_verified_ = false;
};

}  // namespace notp::lane_inputs
