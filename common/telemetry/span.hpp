// Spans: what a program did for a trace, from when to when, and below which other span.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/random.hpp"
#include "common/result.hpp"
#include "common/telemetry/sampler.hpp"
#include "common/telemetry/trace_context.hpp"

namespace notp {

// Numbers of OTLP. A producer's span ends when what it has handed over is done.
enum class SpanKind : uint8_t {
  kInternal = 1,
  kServer = 2,
  kClient = 3,
  kProducer = 4,
  kConsumer = 5
};

struct SpanAttribute {
  std::string key;
  std::variant<std::string, int64_t, double, bool> value;  // text is UTF-8

  bool operator==(const SpanAttribute&) const = default;
};

// An ended span.
struct SpanRecord {
  TraceId trace{};
  SpanId span{};
  SpanId parent{};  // zero: the trace begins with this span
  std::string name;
  SpanKind kind = SpanKind::kInternal;
  int64_t start_ns = 0, end_ns = 0;  // wall time
  std::vector<SpanAttribute> attributes;
  std::string error;  // name of an error code; empty: none
};

// Takes ended spans. Thread-safe; neither blocks nor fails.
class SpanSink {
 public:
  virtual ~SpanSink() = default;
  virtual void add(SpanRecord span) = 0;
};

// One instant by two clocks. A span begins by the wall clock and lasts by the steady one, so that a
// clock that is set does not end it before it began.
struct SpanTime {
  int64_t wall_ns = 0;
  int64_t steady_ns = 0;
};
SpanTime read_span_clock();

class Tracer;

// An open span, or none: then every function does nothing, so that a caller need not ask whether
// its program is traced. One thread at a time; the tracer outlives it.
class Span {
 public:
  Span();
  ~Span();  // ends it
  Span(Span&& other) noexcept;
  Span& operator=(Span&& other) noexcept;  // ends the span that this one was

  bool is_open() const { return open_ != nullptr; }
  // Whether it will be exported.
  bool is_sampled() const;
  // For the programs that go on with the trace: this span is their parent. nullopt: there is none.
  std::optional<TraceContext> context() const;
  Span child(std::string_view name, SpanKind kind = SpanKind::kInternal) const;

  // `key` begins with "notp.". No value says who asked or published, what a policy is about, or any
  // secret: traces go to other people than decision records do.
  void set(std::string_view key, std::string_view value);
  void set(std::string_view key, std::integral auto value) {
    set_number(key, static_cast<int64_t>(value));
  }
  void fail(ErrorCode code);
  // An error code of the wire; 0 is none.
  void set_code(uint32_t wire_code);
  // Ends it; a failure sets the code.
  template <typename T>
  void end_with(const Result<T>& outcome) {
    if (!outcome) fail(outcome.error().code);
    end();
  }
  void end();
  // Forgets it: it is not exported. Spans below it must not exist.
  void drop();

 private:
  friend class Tracer;
  struct Open;
  explicit Span(std::unique_ptr<Open> open);
  void set_number(std::string_view key, int64_t value);

  std::unique_ptr<Open> open_;
};

// A child of `parent`, which may be null.
inline Span child_of(const Span* parent, std::string_view name,
                     SpanKind kind = SpanKind::kInternal) {
  return parent == nullptr ? Span() : parent->child(name, kind);
}

// Begins spans. Thread-safe if `random` and the clock are.
class Tracer {
 public:
  using Clock = std::function<SpanTime()>;

  // Begins none: the program is not traced.
  Tracer() = default;
  // Both references outlive the spans.
  Tracer(SpanSink& sink, Sampler sampler, Random& random, Clock clock = read_span_clock)
      : sink_(&sink), sampler_(sampler), random_(&random), clock_(std::move(clock)) {}

  bool is_on() const { return sink_ != nullptr; }
  const Sampler& sampler() const { return sampler_; }

  // Begins a trace.
  Span begin(std::string_view name, SpanKind kind = SpanKind::kInternal) const;
  // Goes on with another program's.
  Span begin(std::string_view name, SpanKind kind, const TraceContext& parent) const;

 private:
  friend class Span;
  Span open(std::string_view name, SpanKind kind, const TraceContext& place, SpanId parent) const;
  SpanId new_span_id() const;

  SpanSink* sink_ = nullptr;
  Sampler sampler_;
  Random* random_ = nullptr;
  Clock clock_;
};

}  // namespace notp
