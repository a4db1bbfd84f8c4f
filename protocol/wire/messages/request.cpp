#include "protocol/wire/messages/request.hpp"

#include <type_traits>

#include "protocol/wire/message_codec.hpp"

namespace notp::wire {
namespace {

template <typename T>
constexpr bool kHasPart = !std::is_same_v<T, Done>;

// Calls `visit.operator()<T>()` for each alternative T of `what` that has a part, until a call
// fails.
template <typename... Alternatives>
Result<void> for_each_part(const std::variant<Alternatives...>*, auto visit) {
  Result<void> out;
  const auto next = [&]<typename T>() {
    if constexpr (kHasPart<T>)
      if (out) out = visit.template operator()<T>();
  };
  (next.template operator()<Alternatives>(), ...);
  return out;
}

// `own`, and the fields of every part.
template <typename Envelope, typename What>
std::vector<FieldRule> all_fields(std::vector<FieldRule> own, const What* what) {
  static_cast<void>(for_each_part(what, [&]<typename T>() -> Result<void> {
    const auto fields = PartCodec<T, Envelope>::fields();
    own.insert(own.end(), fields.begin(), fields.end());
    return {};
  }));
  return own;
}

// Takes the one part that is in `in`; `what` stays unchanged when there is none.
template <typename Envelope, typename What>
Result<void> take_part(const Envelope& in, What& what) {
  size_t parts = 0;
  NOTP_TRY(for_each_part(&what, [&]<typename T>() -> Result<void> {
    if (!PartCodec<T, Envelope>::is_in(in)) return {};
    NOTP_TRY(require(++parts == 1, "more than one content"));
    NOTP_ASSIGN(what, (PartCodec<T, Envelope>::take(in)));
    return {};
  }));
  return {};
}

}  // namespace

template <>
struct Codec<Request> {
  using Proto = pb::Request;
  using What = decltype(Request::what);

  static const Layout& layout() {
    static const auto fields =
        all_fields<Proto>({rules::u64(1)}, static_cast<const What*>(nullptr));
    static const Layout layout{Request::kName, fields, /*one_of=*/true};
    return layout;
  }
  static Result<void> check(const Request& in) {
    return std::visit([]<typename T>(const T& what) { return PartCodec<T, Proto>::check(what); },
                      in.what);
  }
  static void put(Proto& out, const Request& in) {
    out.set_request(in.request);
    std::visit([&]<typename T>(const T& what) { PartCodec<T, Proto>::put(out, what); }, in.what);
  }
  static Result<Request> take(const Proto& in) {
    NOTP_TRY(require(in.what_case() != Proto::WHAT_NOT_SET,
                     "nothing is asked, or something that this version does not know"));
    Request out;
    out.request = in.request();
    NOTP_TRY(take_part(in, out.what));
    return out;
  }
};

template <>
struct Codec<Response> {
  using Proto = pb::Response;
  using What = decltype(Response::what);

  static const Layout& layout() {
    static const auto fields =
        all_fields<Proto>({rules::u64(1), rules::u32(2), rules::text(3), rules::flag(7)},
                          static_cast<const What*>(nullptr));
    static const Layout layout{Response::kName, fields};
    return layout;
  }
  static Result<void> check(const Response& in) {
    return std::visit(
        []<typename T>(const T& what) -> Result<void> {
          if constexpr (kHasPart<T>) return PartCodec<T, Proto>::check(what);
          return {};
        },
        in.what);
  }
  // The part comes last: a page fills the remaining bytes.
  static void put(Proto& out, const Response& in) {
    out.set_request(in.request);
    out.set_code(in.code);
    out.set_message(clean_text(in.message));
    std::visit(
        [&]<typename T>(const T& what) {
          if constexpr (kHasPart<T>) PartCodec<T, Proto>::put(out, what);
        },
        in.what);
  }
  static Result<Response> take(const Proto& in) {
    Response out{in.request(), in.code(), in.message()};
    NOTP_TRY(take_part(in, out.what));
    return out;
  }
};

template struct MessageCodec<Request>;
template struct MessageCodec<Response>;

std::optional<NeededRight> needed_right(const Request& request) {
  return std::visit(
      []<typename T>(const T& what) -> std::optional<NeededRight> {
        if (!T::kAction) return std::nullopt;
        if constexpr (requires {
                        { what.ledger } -> std::same_as<const model::LedgerId&>;
                      }) {
          return NeededRight{*T::kAction, &what.ledger};
        } else if constexpr (requires { what.ledger.has_value(); }) {
          if (!what.ledger) return std::nullopt;
          return NeededRight{*T::kAction, &*what.ledger};
        } else {
          return NeededRight{*T::kAction, nullptr};
        }
      },
      request.what);
}

RequestKind kind_of(const Request& request) {
  return std::visit([](const auto& what) { return what.kKind; }, request.what);
}

}  // namespace notp::wire
