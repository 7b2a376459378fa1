/* SPDX-License-Identifier: Apache-2.0
 *
 * Style sheet of the report page: light, dark, paper.
 */
#include "reports/html_page_internal.h"

static const char *const style[] = {
    /* colours */
    ":root{color-scheme:light dark;--bg:#f3f5f8;--panel:#fff;--ink:#18212f;--soft:#5b6778;"
    "--line:#dfe4ea;--track:#e8ecf1;--head:#10243e;--head2:#1d4a73;--accent:#1668b0;"
    "--good:#12805c;--good-bg:#e3f5ee;--bad:#b3261e;--bad-bg:#fcebea;--warn:#8a5a00;"
    "--warn-bg:#fdf3dc;--hist:#a9b6c4;--code:#f0f3f7;"
    "--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b45c93;--c4:#c98500;--c5:#2d8fc4;"
    "--c6:#8c6d1f;--c7:#666}\n",
    "@media(prefers-color-scheme:dark){:root{--bg:#0e141c;--panel:#161e29;--ink:#e6ebf2;"
    "--soft:#98a5b5;--line:#2a3645;--track:#243040;--head:#0b1a2d;--head2:#143454;"
    "--accent:#6cb4f2;--good:#4fd1a1;--good-bg:#12312a;--bad:#ff8a80;--bad-bg:#3a1b1d;"
    "--warn:#f2c25b;--warn-bg:#372b12;--hist:#4d5d70;--code:#0f1720;"
    "--c0:#4aa8e0;--c1:#ff8a3d;--c2:#2fd3a2;--c3:#e79bc9;--c4:#f0b53f;--c5:#8fd0f5;"
    "--c6:#c7a454;--c7:#aaa}}\n",
    /* page */
    "*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}"
    "body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"
    "\"Segoe UI\",Roboto,\"Helvetica Neue\",\"Noto Sans\",Arial,sans-serif;"
    "font-variant-numeric:tabular-nums}"
    ".wrap{max-width:1120px;margin:0 auto;padding:0 20px}"
    "header.top{background:linear-gradient(120deg,var(--head),var(--head2));color:#fff;"
    "padding:28px 0 64px}"
    ".brand{display:flex;align-items:center;gap:9px;font-weight:600;letter-spacing:.02em;"
    "opacity:.92}.brand svg{width:24px;height:24px}"
    "h1{font-size:30px;line-height:1.2;margin:14px 0 6px;overflow-wrap:anywhere;font-weight:650}"
    ".chips{display:flex;flex-wrap:wrap;gap:6px 18px;color:#d4e2f0;font-size:14px}"
    "main{margin-top:-44px;padding-bottom:48px}"
    "nav{display:flex;flex-wrap:wrap;gap:4px 16px;margin:0 2px 16px;font-size:13.5px}"
    "nav a{color:var(--accent);text-decoration:none}nav a:hover{text-decoration:underline}\n",
    /* panels */
    "section{background:var(--panel);border:1px solid var(--line);border-radius:12px;"
    "padding:20px 22px;margin:0 0 16px}"
    "h2{font-size:19px;line-height:1.3;margin:0 0 4px}h3{font-size:15px;margin:20px 0 6px;"
    "overflow-wrap:anywhere}"
    "h2.result{font-size:24px;margin:34px 2px 14px;overflow-wrap:anywhere}"
    ".lead{color:var(--soft);margin:0 0 14px;max-width:78ch}"
    ".verdict{display:flex;gap:16px;align-items:center;border-left-width:6px;padding:18px 22px;"
    "box-shadow:0 6px 24px rgba(10,30,60,.10)}"
    ".verdict p{margin:0;font-size:18px;line-height:1.4;overflow-wrap:anywhere}"
    ".badge{flex:none;font-weight:650;border-radius:999px;padding:5px 14px;font-size:14px;"
    "background:var(--track);color:var(--soft);white-space:nowrap}"
    ".passed{border-left-color:var(--good)}.passed>.badge,.badge.passed{color:var(--good);"
    "background:var(--good-bg)}"
    ".failed{border-left-color:var(--bad)}.failed>.badge,.badge.failed{color:var(--bad);"
    "background:var(--bad-bg)}"
    ".undecided{border-left-color:var(--warn)}.undecided>.badge,.badge.undecided{"
    "color:var(--warn);background:var(--warn-bg)}.none{border-left-color:var(--accent)}"
    ".badge.small{padding:1px 9px;font-size:12.5px}"
    ".note{background:var(--warn-bg);color:var(--warn);border:0;padding:10px 18px;"
    "overflow-wrap:anywhere}.note p{margin:0}\n",
    /* key figures */
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(138px,1fr));gap:12px;"
    "margin:0 0 16px}"
    ".card{background:var(--panel);border:1px solid var(--line);border-radius:12px;"
    "padding:14px 16px;min-width:0}"
    ".card b{display:block;color:var(--soft);font-weight:500;font-size:13px;"
    "overflow:hidden;text-overflow:ellipsis;white-space:nowrap}"
    ".card span{display:block;font-size:24px;font-weight:650;line-height:1.3;white-space:nowrap}"
    ".card span small{font-size:14px;font-weight:500;color:var(--soft)}"
    ".card i{font-style:normal;color:var(--soft);font-size:12.5px;display:block}"
    ".card i.up{color:var(--good)}.card i.down{color:var(--bad)}\n",
    /* tables */
    ".scroll{overflow-x:auto;margin:0 -4px}table{border-collapse:collapse;width:100%;"
    "font-size:14px;margin:4px 0}"
    "th,td{padding:6px 10px 6px 4px;text-align:left;border-bottom:1px solid var(--line);"
    "vertical-align:middle}"
    "th{color:var(--soft);font-weight:500;font-size:12.5px;border-bottom-color:var(--soft);"
    "white-space:nowrap}td.n,th.n{text-align:right;white-space:nowrap}"
    "tr:last-child>td{border-bottom:0}"
    "td a{color:var(--accent)}td>code{white-space:nowrap}td.name>code{white-space:normal}"
    "td.name{overflow-wrap:anywhere;min-width:120px;max-width:340px}"
    "td.name small{display:block;color:var(--soft)}td small,.soft{color:var(--soft)}"
    "code,.mono{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\","
    "monospace}"
    "pre{background:var(--code);border:1px solid var(--line);border-radius:8px;padding:8px 12px;"
    "margin:6px 0;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}"
    "details{margin:12px 0 0}summary{cursor:pointer;color:var(--accent);font-size:14px}\n",
    /* plots */
    "svg{display:block;max-width:100%}svg text{fill:var(--ink);font-size:11px}"
    "svg text.ax{fill:var(--soft);font-size:10.5px}"
    ".plot{overflow-x:auto}.plot svg{min-width:620px}"
    "svg.row{width:200px;min-width:120px;height:22px}svg.bar{width:160px;min-width:80px;height:"
    "10px;border-radius:5px}"
    ".track{fill:var(--track);stroke:var(--track)}path.track{stroke-width:2}"
    ".zero{stroke:var(--soft);stroke-width:1}.mark{stroke:var(--bad);stroke-width:1.4;"
    "stroke-dasharray:3 3}"
    ".whisk{stroke:var(--accent);stroke-width:2;fill:none}.dot{fill:var(--accent)}"
    ".b-good{fill:var(--good)}.b-mid{fill:var(--c4)}.b-bad{fill:var(--bad)}"
    ".b-acc{fill:var(--accent)}.b-soft{fill:var(--hist)}"
    ".hist{fill:var(--hist)}.base{stroke:var(--soft);fill:none}"
    ".grid{stroke:var(--line);fill:none}.lineplot{stroke:var(--accent);stroke-width:1.5;"
    "fill:none}\n",
    ".s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}"
    ".s4{stroke:var(--c4)}.s5{stroke:var(--c5)}.s6{stroke:var(--c6)}.s7{stroke:var(--c7)}"
    "svg text.f0,.k0{fill:var(--c0);color:var(--c0)}svg text.f1,.k1{fill:var(--c1);"
    "color:var(--c1)}svg text.f2,.k2{fill:var(--c2);color:var(--c2)}svg text.f3,.k3{"
    "fill:var(--c3);color:var(--c3)}svg text.f4,.k4{fill:var(--c4);color:var(--c4)}"
    "svg text.f5,.k5{fill:var(--c5);color:var(--c5)}svg text.f6,.k6{fill:var(--c6);"
    "color:var(--c6)}svg text.f7,.k7{fill:var(--c7);color:var(--c7)}\n",
    /* grids of figures */
    ".figs{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:14px 18px}"
    "figure{margin:0;min-width:0}figcaption{font-size:12.5px;color:var(--soft);"
    "overflow-wrap:anywhere;line-height:1.35}figcaption b{color:var(--ink);font-weight:600}"
    ".legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:0 0 12px;font-size:13.5px;"
    "font-weight:600}.legend svg{display:inline-block;width:26px;height:8px;margin-right:6px;"
    "vertical-align:middle}"
    ".flips{display:grid;grid-template-columns:repeat(auto-fill,minmax(124px,1fr));gap:12px}"
    ".flip{border:1px solid var(--line);border-radius:9px;overflow:hidden;font-size:12.5px;"
    "line-height:1.35}.flip img,.flip .noimg{display:block;width:100%;height:104px;"
    "object-fit:contain;background:var(--code);image-rendering:auto}"
    ".flip div.t{padding:6px 8px;overflow-wrap:anywhere}.good{color:var(--good)}"
    ".bad{color:var(--bad)}\n",
    "footer{color:var(--soft);font-size:13px;margin-top:20px}"
    "@media(max-width:560px){.wrap{padding:0 12px}section{padding:16px 14px}"
    ".verdict{flex-direction:column;align-items:flex-start;gap:8px}.verdict p{font-size:16px}"
    "h1{font-size:24px}.cards{grid-template-columns:1fr 1fr;gap:8px}.card{padding:10px 12px}"
    ".card span{font-size:21px}.figs{grid-template-columns:1fr}"
    ".flips{grid-template-columns:1fr 1fr}}\n",
    "@media print{:root{--bg:#fff;--panel:#fff;--ink:#000;--soft:#444;--line:#ccc;--track:#eee;"
    "--accent:#0b4f8a;--good:#0b6b4b;--bad:#a01b14;--warn:#6b4600;--hist:#aaa;--code:#f6f6f6;"
    "--good-bg:#eee;--bad-bg:#eee;--warn-bg:#f4f4f4;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;"
    "--c3:#b45c93;--c4:#c98500;--c5:#2d8fc4}"
    "body{font-size:11px}header.top{background:none;color:#000;padding:0 0 8px}"
    ".chips{color:#333}main{margin:0}nav{display:none}.verdict{box-shadow:none}"
    "section{border-radius:0;padding:8px 0;border-width:1px 0 0}section.verdict{"
    "border:1px solid #999;border-left-width:6px;padding:8px}"
    "figure,.flip,tr,.card{break-inside:avoid}h2,h3{break-after:avoid}"
    "@page{margin:14mm}}\n",
};

void oct_page_style(oct_strbuf *b)
{
    for (size_t i = 0; i < sizeof style / sizeof *style; i++)
        oct_strbuf_add(b, style[i]);
}
