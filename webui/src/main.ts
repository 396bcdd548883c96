import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { connectEngine } from './engine/connect';
import { app } from './lib/app.svelte';

// A chunk that is gone belongs to a build that is gone.
addEventListener('vite:preloadError', () => location.reload());

({ calls: app.calls } = await connectEngine((news) => app.receive(news)));
mount(App, { target: document.getElementById('app') as HTMLElement });
