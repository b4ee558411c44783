// The page needs no script: its links, its form and the browser's reloading do everything. With this one, the page is renewed in place:
// only what has changed is replaced, so the position, the focus, what is selected, and what is open or half typed stay.
'use strict';
(() => {
	const typing = 250; // ms without a key until the list is searched
	const patience = 25_000; // ms for an answer; the server gives up before
	let tag = '', asked = null, timer = 0, wait = 0, old = '', heard = new Date();

	// here is the address without a name and a password that a browser may keep in it, which cannot be fetched.
	const here = (query = location.search) => location.origin + location.pathname + query;
	const main = () => document.getElementById('main');
	const byId = (root, id) => root.querySelector('#' + CSS.escape(id));

	// load fetches a page and shows it. how is renew for the address that is shown, else what becomes of the history: push, replace or keep.
	async function load(address, how) {
		clearTimeout(timer);
		if (how !== 'renew') clearTimeout(wait); // else somebody types, who goes on
		asked?.abort();
		const mine = asked = new AbortController();
		let late = false;
		const limit = setTimeout(() => { late = true; mine.abort(); }, patience);
		try {
			const headers = {Accept: 'text/html'};
			if (how === 'renew' && tag) headers['If-None-Match'] = tag;
			const answer = await fetch(address, {headers, signal: mine.signal, cache: 'no-store', credentials: 'same-origin'});
			if (answer.status !== 304) {
				if (!/^text\/html/.test(answer.headers.get('Content-Type'))) throw new Error(answer.status);
				const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
				if (!byId(page, 'main')) throw new Error('a page of something before adfbot');
				tag = answer.headers.get('ETag') || '';
				if (how === 'push') history.pushState(null, '', answer.url);
				if (how === 'replace' || how === 'renew' && answer.redirected) history.replaceState(null, '', answer.url);
				if (source(page) !== source(document)) { location.reload(); return; } // adfbot was updated
				show(page);
			}
			heard = new Date(answer.headers.get('Date') || Date.now());
			old = '';
		} catch (e) {
			if (mine.signal.aborted && !late) return;
			if (how !== 'renew') { location.assign(address); return; }
			old ||= 'adfbot does not answer. This page shows what was known at ' + stamp(heard) + '.';
		} finally {
			clearTimeout(limit);
		}
		tell();
		next();
	}

	// source names the version of this script.
	const source = page => page.querySelector('script').getAttribute('src').replace(/^[./]*/, '');

	// next plans the next renewal. Without data-refresh the reader has stopped it, or nothing will change.
	function next() {
		const seconds = Number(main().dataset.refresh);
		if (seconds > 0) timer = setTimeout(load, seconds * 1000, here(), 'renew');
	}

	// tell shows how long ago everything was, and whether the page is old.
	function tell() {
		const now = old ? new Date() : heard;
		for (const t of document.querySelectorAll('time[title]')) write(t, ago((now - new Date(t.dateTime)) / 1000));
		const at = document.getElementById('at');
		if (at && !old) {
			at.dateTime = heard.toISOString();
			write(at, stamp(heard));
		}
		const stale = document.getElementById('stale');
		write(stale, old);
		stale.hidden = !old;
	}

	function write(e, text) {
		if (e.textContent !== text) e.textContent = text;
	}

	const stamp = t => t.toISOString().slice(0, 16).replace('T', ' ') + ' UTC';

	// ago writes a duration as the server does: in at most two units.
	function ago(seconds) {
		const s = Math.max(0, Math.floor(seconds));
		const two = (a, unit, b, rest) => a + unit + (b ? ' ' + b + rest : '');
		const part = (of, n) => Math.floor(s % of / n);
		if (s < 60) return s + 's';
		if (s < 3600) return two(Math.floor(s / 60), 'm', s % 60, 's');
		if (s < 86400) return two(Math.floor(s / 3600), 'h', part(3600, 60), 'm');
		return two(Math.floor(s / 86400), 'd', part(86400, 3600), 'h');
	}

	function show(page) {
		const news = document.title === page.title ? '' : page.title;
		document.title = page.title;
		const icon = byId(document, 'icon'), nextIcon = byId(page, 'icon');
		if (icon && nextIcon && icon.getAttribute('href') !== nextIcon.getAttribute('href')) icon.href = nextIcon.getAttribute('href');
		renew(document.body, page.body);
		write(document.getElementById('news'), news); // said to those who do not see it
	}

	// renew makes an element like another one, with as few changes as it can.
	function renew(from, to) {
		if (from.isEqualNode(to)) return;
		for (const {name} of [...from.attributes]) if (!to.hasAttribute(name) && !mine(from, name)) from.removeAttribute(name);
		for (const {name, value} of to.attributes) if (from.getAttribute(name) !== value && !mine(from, name)) from.setAttribute(name, value);
		const named = new Map([...from.children].filter(c => c.id).map(c => [c.id, c]));
		let at = from.firstChild;
		for (const n of [...to.childNodes]) {
			const same = n.id ? named.get(n.id) : fits(at, n) ? at : null;
			if (!same || same.nodeName !== n.nodeName) {
				from.insertBefore(document.adoptNode(n), at);
				continue;
			}
			if (same === at) at = at.nextSibling;
			else from.insertBefore(same, at);
			if (n.nodeType === Node.ELEMENT_NODE) renew(same, n);
			else if (same.data !== n.data) same.data = n.data;
		}
		while (at) {
			const gone = at;
			at = at.nextSibling;
			gone.remove();
		}
	}

	// fits reports whether a node without an id can become another one.
	const fits = (a, b) => a && a.nodeType === b.nodeType && a.nodeName === b.nodeName && !a.id;

	// mine reports whether an attribute belongs to the reader, not to the page.
	const mine = (e, name) => name === 'open' && e.nodeName === 'DETAILS' || name === 'hidden' && e.id === 'stale';

	// chosen returns the address that the form asks for.
	function chosen(form) {
		const q = new URLSearchParams();
		for (const [key, value] of new FormData(form)) if (value.trim()) q.set(key, value);
		return here('?' + q);
	}

	document.addEventListener('click', e => {
		const a = e.target.closest?.('a[href^="?"]');
		if (!a || e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
		e.preventDefault();
		const up = a.closest('.pager') && a.closest('section, main');
		load(here(new URL(a.href).search), a.closest('.fold') ? 'replace' : 'push').then(() => up?.scrollIntoView());
	});
	document.addEventListener('submit', e => {
		e.preventDefault();
		load(chosen(e.target), 'push');
	});
	document.addEventListener('change', e => {
		if (e.target.nodeName === 'SELECT') load(chosen(e.target.form), 'push');
	});
	document.addEventListener('input', e => {
		if (e.target.type !== 'search') return;
		clearTimeout(wait);
		wait = setTimeout(form => load(chosen(form), 'replace'), typing, e.target.form);
	});
	addEventListener('popstate', () => load(here(), 'keep'));
	addEventListener('pageshow', e => { if (e.persisted) load(here(), 'renew'); });
	next();
})();
