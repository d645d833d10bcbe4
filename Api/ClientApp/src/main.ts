import PrimeVue from 'primevue/config'
import ConfirmationService from 'primevue/confirmationservice'
import ToastService from 'primevue/toastservice'
import { createApp } from 'vue'
import App from './App.vue'
import { router } from './router'
import './style.css'
import { preset } from './theme'

const nonce = document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]')?.content

createApp(App)
  .use(router)
  .use(PrimeVue, { theme: { preset, options: { darkModeSelector: '.dark', cssLayer: { name: 'primevue', order: 'primevue, page' } } }, csp: { nonce } })
  .use(ToastService)
  .use(ConfirmationService)
  .mount('#app')
