#include "common/json/json_tokens.hpp"

#include <simdjson.h>

#include <utility>

#include "common/limits.hpp"

namespace notp {

// Only the first of simdjson's two stages: the second would build a tree of the whole document, and
// the readers of the public interface require a copy with padding.
struct JsonTokens::Parser {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> stages;
};

JsonTokens::JsonTokens(std::unique_ptr<Parser> parser)
    : parser_(std::move(parser)),
      places_(parser_->stages->structural_indexes.get(), parser_->stages->n_structural_indexes) {}

JsonTokens::JsonTokens(JsonTokens&&) noexcept = default;
JsonTokens& JsonTokens::operator=(JsonTokens&&) noexcept = default;
JsonTokens::~JsonTokens() = default;

std::optional<JsonTokens> JsonTokens::find(ByteView text) {
  if (text.empty() || text.size() > limits::kJsonChangesBytesMax) return std::nullopt;
  auto parser = std::make_unique<Parser>();
  if (simdjson::get_active_implementation()->create_dom_parser_implementation(text.size(), 1,
                                                                              parser->stages))
    return std::nullopt;
  if (parser->stages->stage1(reinterpret_cast<const uint8_t*>(text.data()), text.size(),
                             simdjson::stage1_mode::regular))
    return std::nullopt;
  return JsonTokens(std::move(parser));
}

}  // namespace notp
