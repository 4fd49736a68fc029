// Every byte of the corpora: the ids of both tokenizers are those of Hugging Face's `tokenizers` 0.23.3, by
// the SHA-256 of all ids of a file (little-endian 32-bit, documents one after another).
#include <cstring>
#include <span>

#include <doctest/doctest.h>

#include "data/document_source.h"
#include "data/sha256.h"
#include "tests/data/bpe/shared_tokenizers.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

struct Expected {
  const char* file;
  const char* deepseek;
  const char* small;
};

constexpr Expected kExpected[] = {
    {"chinese/laws.jsonl.gz", "d9900188e7b4f7a3dce7c097fbef232d6e6408e75a74d85477a300d318ba6157",
     "b7fe100a0afdea2878801099cf645ab43b24275f7d399d885ec59a3ae419e034"},
    {"chinese/novels.jsonl.gz", "b716b9cf4019473a7e7d3c2cd8579e35fdf8fcfc5a8a50e0486cbc88dfef87ed",
     "bece96766f216f4fd648e9babc9f68fd63a9f8f72220c21efdcc48a3cbb50a1c"},
    {"chinese/oi-wiki.jsonl.gz", "0db23089be6b63dd8b7663ea66b8912c40c4e30ddfbbf5acbf4a5524d466abc6",
     "e3f57594bf95744228111f9a176779539d7e9533d5372cad66b45d3f25b6eaad"},
    {"chinese/opensource-guide-zh.jsonl.gz",
     "676532bd552802bc0f362f85fc62406a36bb056a1c4486dcf0cf176fb7581ba1",
     "a8c031915fbad4a5492dbca1282a549a7e5fe88594743568de47a64f821552c3"},
    {"chinese/poetry-classics.jsonl.gz", "6797a54f2db128e4a41793acc58704f939f60270addc23eb5656197b412da195",
     "20ce6c78445bb532091421fca829a391736f05fa0094b1d0264f55f23a79194f"},
    {"chinese/rust-book-zh.jsonl.gz", "9e552410b38f29501c3cfc661b2d51aa2efb03b0455dd34cd039abf2fe886e6e",
     "6b9afa8081fd3fe9566941e141375722634c3d5e8bb49f40e913c4933de3bfa2"},
    {"chinese/wikipedia-simplified.jsonl.gz",
     "88780f65a099fb1a90ded6779275c80a3c355b1a4e4a9ab2cb8c08c2af3a0b34",
     "26d3cf67d59d39d5f67fc9cbf205f3977d555a4f2cd785d263b244e032ca63af"},
    {"chinese/wikipedia-traditional.jsonl.gz",
     "42982c326d5a60d46eb3fc8afd66fc5d248f397c35ac212b9133619e5bb0f71a",
     "d0a16616573b9dabb4c3436c98c63881404fa0a40634cbdb1562f756c076a521"},
    {"code/c.jsonl.gz", "83b6dff9174d87e534c48a2903725431cf703332b6b972a5eaf696839a09e664",
     "926a959934f153898bfa04100e38e52a4ee65d629a06e7cbf53e8e9779e4e751"},
    {"code/cpp.jsonl.gz", "368cf535f1223e235c42e9da3fd8054f4e9df2eec0058ce2c7e1ced3e5028e4b",
     "3c783217e72dc8da32fb47ce2a43a22ab1022bff75137a59865b8d2082fbf7b4"},
    {"code/javascript.jsonl.gz", "b156e38e30488d31bbc86a835334360e1b74eec3e0e5296db030b9e81fe55087",
     "3687adfc658f74c02df3ffeaf60e4279b5bb8818de359b88a9da57cdb76723d5"},
    {"code/python-stdlib.jsonl.gz", "cfcb8f4b40c37a83651c85b0f2bbf722b15601cc6925cd31858ddf0e483edd61",
     "7f2503352cd781a4c5fda7e91d0f103e97608fbef267a2d04255a462d008871c"},
    {"code/python-sympy.jsonl.gz", "119463ce2706ee3c8ab157d2b1947d8187efe83c03110f629e5a90fac1497fa3",
     "fe3f853b2c32a933548ca79a09f5a416e74a63bf1d63847f649e2b57e3d77542"},
    {"english/gutenberg.jsonl.gz", "8030b3b28e041bd3b1afb4ea52053f189d6294e6c9b452623a21251522b67917",
     "8ff8661910b1f6260f046bf7c4d07c8af70580eb6143a6c81784fcbc380ac1a3"},
    {"english/inaugural.jsonl.gz", "4a0e27a9d31335041eef287d466f7beb1b4da3cef67d1f262326a793bbb7708c",
     "12324bb0c0bbb4e9c1d107e3453fcb6690efb5b02b62d6ed3dbf1f353bccc041"},
    {"english/opensource-guide.jsonl.gz", "c3469c7a9c4cfb200725f0acffc68a61761ddfd968a52bf05963d0fc2944fc22",
     "1ffeb3c2b6ce5ee577dfddd78e77d5715886de5ba69601d32f267e5b4611c881"},
    {"english/rust-book.jsonl.gz", "30bc4efc0fa40e7307de1c393d0ac9b27e0adde943da31d2f0c46193d2d9fdd8",
     "8474985400705bed984dcea17a92dcdfbc0a008f3824d165824e4b23fb1374f1"},
    {"english/tinyshakespeare.jsonl.gz", "74a1a6ce89e742c7a1eed7efe627ccee3e2f179fe155cc6357fcb86ff3514615",
     "553aa2c841ec8fe9557af918b152a9fddde3720450de101a71aea2638663f521"},
    {"english/web-c4.jsonl.gz", "ba0becb18d2c80b865aa9cedd11c097fba5ebb8d325757f3d5441a61f7e35985",
     "7e6c4ffb2fc02fa99f7ea01c707fb0653ffc447ca8b560a9c29fbe3cb1b4b7d5"},
    {"english/wikipedia-passages.jsonl.gz",
     "d1a96552ce0e0eeb82b7d614a4cf34b48af15fbf68aa4ec45ded9dd6a5319f8b",
     "2ea7117d7bfd323f42639bf687b3b9fd01587e38ee62b30f65722273b53c181f"},
    {"english/wikipedia.jsonl.gz", "81ab9b68b0f09e91eeeadb9d275b937b664b6e8d96121547ab382cc8ca24c0c6",
     "a8fa3e3f8fa5c7b7aae5b26aa8c190a6414bedcfa5510250e13a335a5ab93935"},
    {"math/analysis-book.jsonl.gz", "653cc3dbb9d503a47575a0b3b8dc8212a9954be8b50d0cb117bebdfd5b691521",
     "d7d997e57b58e42446598de666f016a280c398863e202fdf039c12d6e1bbcf99"},
    {"math/gsm8k.jsonl.gz", "ada0f61de3ef04ec8b6ba23e88996f0b1eb867050c2c198bad759f4b78e59da0",
     "2bb0aea2199b28f2ac5686b4b43c91b8d7872e064f6e8c1619b93530c28ec5cb"},
    {"math/hott-book.jsonl.gz", "ede3942a083901003c988196dfb7b065d46c951a266dc81b203000c512e3d72f",
     "ae1b7832e8e87fd70a2296ffe0d5789b2c8c949144950c5e56833825c24e4191"},
    {"math/oi-wiki-math.jsonl.gz", "c6a4acb7e0c51b9918e412b5d4fac5c45fd9bf1b8d34c36cacd6391c00def458",
     "8558d4c885c3f4fba716bb05b76b991210f90b55d4305908d8fdd7fb58dedde8"},
};

std::string hash_of(const std::vector<int32_t>& ids) {
  return sha256({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)});
}

bool is_text_of(const Tokenizer& tokenizer, std::span<const int32_t> ids, const std::string& text) {
  size_t at = 0;
  for (const int32_t id : ids) {
    const std::string_view bytes = tokenizer.decode(id);
    if (bytes.size() > text.size() - at || std::memcmp(bytes.data(), text.data() + at, bytes.size()) != 0)
      return false;
    at += bytes.size();
  }
  return at == text.size();
}

}  // namespace

TEST_CASE("tokenizers: every byte of the corpora gives the ids of the reference and comes back" *
          doctest::test_suite("numerics")) {
  const Tokenizer& deepseek = shared_tokenizer("deepseek-v3");
  const Tokenizer& small = shared_tokenizer("small-8k");
  for (const Expected& expected : kExpected) {
    INFO(expected.file);
    DocumentSource source({shared_data(std::string("corpus/") + expected.file)});
    std::vector<int32_t> of_deepseek;
    std::vector<int32_t> of_small;
    std::string text;
    bool come_back = true;
    while (source.next(text)) {
      const size_t deepseek_ids = of_deepseek.size();
      const size_t small_ids = of_small.size();
      deepseek.encode(text, of_deepseek);
      small.encode(text, of_small);
      come_back = come_back && is_text_of(deepseek, std::span(of_deepseek).subspan(deepseek_ids), text) &&
                  is_text_of(small, std::span(of_small).subspan(small_ids), text);
    }
    CHECK(hash_of(of_deepseek) == expected.deepseek);
    CHECK(hash_of(of_small) == expected.small);
    CHECK(come_back);
  }
}
